"""The 3D models on the GPU: they read the frame where it lies, and a volume never leaves the device.

One person at a time, as on the CPU. Thread: the backend's.
"""

from __future__ import annotations

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
from edged.inference.pose3d.lifter import RootDepth, wrong_task
from edged.inference.pose3d.projection import VolumeJoints, person_crop
from engines.card import Lift, Root
from engines.card.schema import SCHEMAS

VOLUME_THREADS = 256  # of a block, for one joint's volume
FRAME_FIELDS = ("pixels", "format", "size", "stride")  # of FRAME_PARAMS


class CudaCropInput:
    """The input of one 3D model, filled from a person's crop of the frame that was set. Owns the engine."""

    def __init__(self, gpu: Gpu, kernels: Kernels, engine: Engine) -> None:
        self.engine, self.gpu = engine, gpu
        self._kernels = kernels
        self._buffer = FrameParamsBuffer(gpu, kernels)
        self._net = DeviceBuffer.from_array(gpu, net_params(engine.card, padding=1, split=0))
        params = self._buffer.params
        params["detect"], params["prior_count"], params["max_subjects"], params["model_of"] = 0, 1, 1, -1
        params["model_of"][0] = 0  # the crop is given as the only prior, of the class that this model poses

    def set_frame(self, params: Any) -> None:
        """Takes the frame of the backend's FRAME_PARAMS."""
        for field in FRAME_FIELDS:
            self._buffer.params[field] = params[field]

    def enqueue(self, xyxy: F32) -> Crop | None:
        """The crop of the box (4,) that the model now runs on; None: nothing of the box lies on the frame."""
        card, (width, height) = self.engine.card, self._buffer.params["size"].tolist()
        crop = person_crop(xyxy, (width, height), card.input.size_wh, card.padding or 1.0)
        if crop is not None:
            half_w, half_h = crop.width / 2, crop.height / 2
            corners = (crop.cx - half_w, crop.cy - half_h, crop.cx + half_w, crop.cy + half_h)
            self._buffer.params["priors"]["xyxy"][0] = corners
            self._enqueue_crop()
            self.engine.enqueue(1)
        return crop

    def close(self) -> None:
        self._net.free()
        self._buffer.free()
        self.engine.close()

    def _enqueue_crop(self) -> None:
        buffer, tensor = self._buffer, self.engine.input
        buffer.begin()
        buffer.select(0)
        grid = (*tile_grid(*self.engine.card.input.size_wh), 1)
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
        self._joints_in_bins = MappedArray(gpu, (self._joints, 3), np.float32)
        self.crop_input = CudaCropInput(gpu, kernels, engine)

    def estimate(self, image: U8, xyxy: F32) -> VolumeJoints | None:
        if (crop := self.crop_input.enqueue(xyxy)) is None:
            return None
        addresses = self._size.address, self._volume.memory.address, self._joints_in_bins.address
        self._kernels(f"soft_argmax{self._volume.kernel_suffix}", (self._joints, 1), (VOLUME_THREADS,), *addresses)
        self.crop_input.gpu.wait()
        check_finite(self.crop_input.engine.card.name, [self._joints_in_bins.host])
        depth, height, width = self._shape
        return VolumeJoints(crop, self._joints_in_bins.host.copy(), (depth, height, width))

    def close(self) -> None:
        self._size.free()
        self._joints_in_bins.free()
        self.crop_input.close()


class CudaRootNet:
    """A model of task `root`: a `RootModel`. It reads the frame set in `crop_input`, not `image`."""

    def __init__(self, gpu: Gpu, kernels: Kernels, engine: Engine) -> None:
        card = engine.card
        if card.root is None:
            raise wrong_task(card, "root")
        self.spec: Root = card.root
        self._host_outputs = [gpu.cuda.pagelocked_zeros(output.shape, output.dtype) for output in engine.outputs]
        self.crop_input = CudaCropInput(gpu, kernels, engine)

    def estimate(self, image: U8, xyxy: F32) -> RootDepth | None:
        if (crop := self.crop_input.enqueue(xyxy)) is None:
            return None
        gpu = self.crop_input.gpu
        for host, output in zip(self._host_outputs, self.crop_input.engine.outputs, strict=True):
            gpu.cuda.memcpy_dtoh_async(host, output.memory.address, gpu.stream)
        gpu.wait()
        xy_cells, gamma = (host.astype(np.float32) for host in self._host_outputs)
        check_finite(self.crop_input.engine.card.name, [xy_cells, gamma])
        xy_px = crop.cells_to_image(xy_cells, (self.spec.cells, self.spec.cells))[0]
        return RootDepth(crop, xy_px, float(gamma[0, 0]))

    def close(self) -> None:
        self._host_outputs.clear()
        self.crop_input.close()
