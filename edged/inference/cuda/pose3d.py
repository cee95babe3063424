"""The 3D models on the GPU: they read the frame where it lies, and a volume never leaves the device.

Several people in one call, as on the CPU. Thread: the backend's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from edged.frame import F32, U8
from edged.inference.crop import Crop
from edged.inference.cuda.context import Gpu
from edged.inference.cuda.engine import Engine
from edged.inference.cuda.frame_params import FrameParamsBuffer
from edged.inference.cuda.kernels import Kernels
from edged.inference.cuda.layout import net_params
from edged.inference.cuda.memory import DeviceBuffer, MappedArray
from edged.inference.cuda.stages import TILE_THREADS, tile_grid
from edged.inference.decode.detectors import check_finite
from edged.inference.pose3d.lifter import Answer, RootDepth, for_each_person, root_depths, wrong_task
from edged.inference.pose3d.projection import VolumeJoints
from engines.card import Lift, Root
from engines.card.schema import SCHEMAS

VOLUME_THREADS = 256  # of a block, for one joint's volume
FRAME_FIELDS = ("pixels", "format", "size", "stride")  # of FRAME_PARAMS


class CudaCropInput:
    """The input of one 3D model, filled from people's crops of the frame that was set. Owns the engine."""

    def __init__(self, gpu: Gpu, kernels: Kernels, engine: Engine) -> None:
        self.engine, self.gpu = engine, gpu
        self._kernels = kernels
        self._buffer = FrameParamsBuffer(gpu, kernels)
        self._net = DeviceBuffer.from_array(gpu, net_params(engine.card, padding=1, split=0))
        params = self._buffer.params
        params["detect"], params["max_subjects"], params["model_of"] = 0, engine.batches[-1], -1
        params["model_of"][0] = 0  # the crops are given as priors of the class that this model poses

    def set_frame(self, params: Any) -> None:
        """Takes the frame of the backend's FRAME_PARAMS."""
        for field in FRAME_FIELDS:
            self._buffer.params[field] = params[field]

    def for_each_person(self, xyxy: F32, run: Callable[[list[Crop]], Iterable[Answer]]) -> list[Answer | None]:
        """As `lifter.for_each_person`, on the frame that was set."""
        width, height = self._buffer.params["size"].tolist()
        return for_each_person(xyxy, (width, height), self.engine.card, self.engine.batches[-1], run)

    def enqueue(self, crops: list[Crop]) -> None:
        """Run the model on these crops, as many as its largest batch at most."""
        params = self._buffer.params
        params["prior_count"] = len(crops)
        for row, crop in enumerate(crops):
            half_w, half_h = crop.width / 2, crop.height / 2
            corners = (crop.cx - half_w, crop.cy - half_h, crop.cx + half_w, crop.cy + half_h)
            params["priors"]["xyxy"][row] = corners
        self._enqueue_crops(len(crops))
        self.engine.enqueue(next(batch for batch in self.engine.batches if batch >= len(crops)))

    def close(self) -> None:
        self._net.free()
        self._buffer.free()
        self.engine.close()

    def _enqueue_crops(self, count: int) -> None:
        buffer, tensor = self._buffer, self.engine.input
        buffer.begin()
        buffer.select(0)
        grid = (*tile_grid(*self.engine.card.input.size_wh), count)
        boxes = buffer.selected_address, buffer.rows_address
        arguments = buffer.params_address, self._net.address, *boxes, buffer.counters_address, 0, tensor.memory.address
        self._kernels(f"crop{tensor.kernel_suffix}", grid, TILE_THREADS, *arguments)


class CudaVolumeNet:
    """A model of task `lift`: a `VolumeModel`. It reads the frame set in `crop_input`, not `image`."""

    def __init__(self, gpu: Gpu, kernels: Kernels, engine: Engine) -> None:
        card = engine.card
        if card.lift is None:
            raise wrong_task(card, "lift")
        self.spec: Lift = card.lift
        self._kernels, self._volume = kernels, engine.outputs[0]
        self._joints = len(SCHEMAS[self.spec.schema_name])
        self._shape = (self.spec.depth, *self._volume.shape[2:])
        self._size = DeviceBuffer.from_array(gpu, np.array(self._shape, np.int32))
        self._joints_in_bins = MappedArray(gpu, (engine.batches[-1], self._joints, 3), np.float32)
        self.crop_input = CudaCropInput(gpu, kernels, engine)

    def estimate(self, image: U8, xyxy: F32) -> list[VolumeJoints | None]:
        return self.crop_input.for_each_person(xyxy, self._run)

    def close(self) -> None:
        self._size.free()
        self._joints_in_bins.free()
        self.crop_input.close()

    def _run(self, crops: list[Crop]) -> list[VolumeJoints]:
        self.crop_input.enqueue(crops)
        kernel, grid = f"soft_argmax{self._volume.kernel_suffix}", (self._joints, len(crops))
        addresses = self._size.address, self._volume.memory.address, self._joints_in_bins.address
        self._kernels(kernel, grid, (VOLUME_THREADS,), *addresses)
        self.crop_input.gpu.wait()
        bins = self._joints_in_bins.host[: len(crops)].copy()
        check_finite(self.crop_input.engine.card.name, [bins])
        depth, height, width = self._shape
        return [VolumeJoints(crop, at, (depth, height, width)) for crop, at in zip(crops, bins, strict=True)]


class CudaRootNet:
    """A model of task `root`: a `RootModel`. It reads the frame set in `crop_input`, not `image`."""

    def __init__(self, gpu: Gpu, kernels: Kernels, engine: Engine) -> None:
        card = engine.card
        if card.root is None:
            raise wrong_task(card, "root")
        self.spec: Root = card.root
        self._host_outputs = [gpu.cuda.pagelocked_zeros(output.shape, output.dtype) for output in engine.outputs]
        self.crop_input = CudaCropInput(gpu, kernels, engine)

    def estimate(self, image: U8, xyxy: F32) -> list[RootDepth | None]:
        return self.crop_input.for_each_person(xyxy, self._run)

    def close(self) -> None:
        self._host_outputs.clear()
        self.crop_input.close()

    def _run(self, crops: list[Crop]) -> list[RootDepth]:
        self.crop_input.enqueue(crops)
        gpu = self.crop_input.gpu
        for host, output in zip(self._host_outputs, self.crop_input.engine.outputs, strict=True):
            gpu.cuda.memcpy_dtoh_async(host, output.memory.address, gpu.stream)
        gpu.wait()
        xy_cells, gamma = (host[: len(crops)].astype(np.float32) for host in self._host_outputs)
        check_finite(self.crop_input.engine.card.name, [xy_cells, gamma])
        return root_depths(crops, xy_cells, gamma, self.spec)
