"""A TensorRT engine with host arrays: for self-tests, and where another model in use has no engine.

Thread: the one that makes it. Not run on hardware yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from edged.frame import F32
from edged.inference.cuda.context import Gpu
from edged.inference.cuda.engine import Tensor
from edged.inference.cuda.engine_trt import TrtEngine
from edged.inference.decode.detectors import check_finite
from engines.card import Card
from engines.prepare.model import PreparedModel


class TrtSession:
    """A `Session`. Runs in the smallest batch size that holds the tensor; larger tensors in parts."""

    def __init__(self, card: Card, plan: bytes, model: PreparedModel, profiles: Sequence[tuple[int, int, int]]) -> None:
        """Raises `PlanRefused` when TensorRT refuses the plan."""
        self.card = card
        with ExitStack() as stack:
            self._gpu = Gpu()
            stack.callback(self._gpu.close)
            self._engine = TrtEngine(self._gpu, card, plan, model, profiles)
            stack.pop_all()
        tensors = (self._engine.input, *self._engine.outputs)
        self._host_arrays = {tensor.name: self._host_array(tensor) for tensor in tensors}

    def run(self, tensor: F32) -> list[F32]:
        """As `Session.run`; also raises `DeviceLost`."""
        most = self._engine.batches[-1]
        with self._gpu.translate_errors():
            parts = [self._run_part(tensor[at : at + most]) for at in range(0, len(tensor), most)]
        outputs = [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]
        check_finite(self.card.name, outputs)
        return outputs

    def close(self) -> None:
        self._engine.close()
        self._host_arrays.clear()
        self._gpu.close()

    def _run_part(self, tensor: F32) -> list[F32]:
        count, source = len(tensor), self._engine.input
        batch = next(size for size in self._engine.batches if size >= count)
        np.copyto(self._host_arrays[source.name][:count], tensor, casting="same_kind")
        self._gpu.cuda.memcpy_htod_async(
            source.memory.address, self._host_arrays[source.name][:batch], self._gpu.stream
        )
        self._engine.enqueue(batch)
        for output in self._engine.outputs:
            self._gpu.cuda.memcpy_dtoh_async(
                self._host_arrays[output.name][:batch], output.memory.address, self._gpu.stream
            )
        self._gpu.wait()
        return [self._host_arrays[output.name][:count].astype(np.float32) for output in self._engine.outputs]

    def _host_array(self, tensor: Tensor) -> np.ndarray[Any, Any]:
        """Page-locked, for asynchronous copies."""
        return self._gpu.cuda.pagelocked_zeros(tensor.shape, tensor.dtype)  # type: ignore[no-any-return]
