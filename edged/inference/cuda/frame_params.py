"""What host and kernels exchange for one frame: the camera's parameters in, counters and selected boxes out."""

from __future__ import annotations

from typing import Any

import numpy as np

from edged.inference.cuda.context import Gpu
from edged.inference.cuda.kernels import Kernels
from edged.inference.cuda.layout import (
    COUNTERS,
    FRAME_OUTPUT,
    FRAME_PARAMS,
    MAX_MODELS,
    MAX_SUBJECTS,
    WORD_BYTES,
)
from edged.inference.cuda.memory import DeviceBuffer, MappedArray
from edged.inference.decode.nms import MAX_CANDIDATES

COPY_THREADS = 1024  # of the one block that copies the struct: the most that CUDA takes


class FrameParamsBuffer:
    """FRAME_PARAMS and FRAME_OUTPUT in mapped memory for the host, each with a copy on the device for the kernels.

    The host writes `params` and reads `results` only while the stream is idle.
    """

    def __init__(self, gpu: Gpu, kernels: Kernels) -> None:
        self._gpu = gpu
        self._kernels = kernels
        self._host_params = MappedArray(gpu, (1,), FRAME_PARAMS)
        self._host_results = MappedArray(gpu, (1,), FRAME_OUTPUT)
        self._device_params = DeviceBuffer(gpu, FRAME_PARAMS.itemsize)
        self._device_results = DeviceBuffer(gpu, FRAME_OUTPUT.itemsize)
        self._rows = DeviceBuffer(gpu, MAX_MODELS * MAX_SUBJECTS * np.dtype(np.int32).itemsize)
        self.params: Any = self._host_params.host[0]  # FRAME_PARAMS
        self.results: Any = self._host_results.host[0]  # FRAME_OUTPUT
        self.params_address = self._device_params.address
        self.counters_address = self._device_results.address
        self.selected_address = self.counters_address + COUNTERS.itemsize
        self.rows_address = self._rows.address

    def begin(self, *, again: bool = False) -> None:
        """Enqueues the start of a frame; with `again` it continues the last one, whose counters stay."""
        self._copy(self._host_params.address, self.params_address, FRAME_PARAMS)
        if not again:
            self._gpu.cuda.memset_d32_async(self.counters_address, 0, COUNTERS.itemsize // WORD_BYTES, self._gpu.stream)

    def select(self, kept_address: int) -> None:
        """Enqueues the selection: from the boxes at `kept_address`, or from the priors when `detect` is 0."""
        inputs = self.params_address, self.counters_address, kept_address
        self._kernels("select_detections", (1,), (MAX_CANDIDATES,), *inputs, self.selected_address, self.rows_address)

    def finish(self) -> None:
        """Enqueues the end of a frame: counters and selected boxes go to the host."""
        self._copy(self.counters_address, self._host_results.address, FRAME_OUTPUT)

    def free(self) -> None:
        del self.params, self.results
        for buffer in (self._host_params, self._host_results, self._device_params, self._device_results, self._rows):
            buffer.free()

    def _copy(self, source: int, target: int, struct: np.dtype[Any]) -> None:
        self._kernels("copy", (1,), (COPY_THREADS,), source, target, struct.itemsize // WORD_BYTES)
