"""People in space on the GPU: the 3D nets look at the frame where it lies, and their volumes never leave the device.

One person at a time, as on the CPU; what comes back of a volume are the joints' places.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edged.frame import F32, U8
from edged.inference.crop import Crop
from edged.inference.cuda.context import Gpu
from edged.inference.cuda.engine import Engine
from edged.inference.cuda.kernels import Kernels
from edged.inference.cuda.memory import DeviceBuffer, MappedArray
from edged.inference.cuda.stages import TILE_THREADS, FrameParamsBuffer, net_params, tile_grid
from edged.inference.pose3d.lifter import RootDepth, wrong_task
from edged.inference.pose3d.projection import VolumeJoints, person_crop
from engines.card import Lift, Root
from engines.card.schema import SCHEMAS

VOLUME_THREADS = 256  # threads for one joint's volume
FRAME_FIELDS = ("pixels", "format", "size", "stride")  # what a look is told of the frame


class CudaCropInput:
    """The window of the 3DMPPE family, cut out for one net."""

    def __init__(self, gpu: Gpu, kernels: Kernels, engine: Engine) -> None:
        self.engine, self.gpu = engine, gpu
        self._kernels = kernels
        self._params_buffer = FrameParamsBuffer(gpu, kernels)
        self._net = DeviceBuffer.from_array(gpu, net_params(engine.card, 1, 0))
        asked = self._params_buffer.params
        asked["detect"], asked["known_count"], asked["limit"], asked["model_of"] = 0, 1, 1, -1
        asked["model_of"][0] = 0  # the window is given as the one known box, of a class that this net looks at

    def set_frame(self, params: Any) -> None:
        """Look at the frame that the plane looks at."""
        for field in FRAME_FIELDS:
            self._params_buffer.params[field] = params[field]

    def enqueue(self, xyxy: F32) -> Crop | None:
        """Fill the net's input from the box's window, and say which that was; None where it misses the frame."""
        card, (width, height) = self.engine.card, self._params_buffer.params["size"].tolist()
        crop = person_crop(xyxy, (width, height), card.input.size_wh, card.padding or 1.0)
        if crop is not None:
            half_w, half_h = crop.width / 2, crop.height / 2
            self._params_buffer.params["known"]["xyxy"][0] = (
                crop.cx - half_w, crop.cy - half_h, crop.cx + half_w, crop.cy + half_h
            )  # fmt: skip
            self._enqueue_crop()
            self.engine.enqueue(1)
        return crop

    def close(self) -> None:
        self._net.free()
        self._params_buffer.free()
        self.engine.close()

    def _enqueue_crop(self) -> None:
        desk, source = self._params_buffer, self.engine.input
        desk.begin()
        desk.select(0)
        grid = (*tile_grid(*self.engine.card.input.size_wh), 1)
        where = (
            desk.params_address,
            self._net.address,
            desk.chosen_address,
            desk.rows_address,
            desk.counters_address,
            0,
            source.memory.address,
        )
        self._kernels(f"crop{source.kernel_suffix}", grid, TILE_THREADS, *where)


class CudaVolumeNet:
    """A model of task `lift`."""

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
        """None where nothing of the box lies on the frame; the image is the one that the eye was turned to."""
        if (crop := self.crop_input.enqueue(xyxy)) is None:
            return None
        where = self._size.address, self._volume.memory.address, self._joints_in_bins.address
        self._kernels(f"expected{self._volume.kernel_suffix}", (self._joints, 1), (VOLUME_THREADS,), *where)
        self.crop_input.gpu.wait()
        depth, height, width = self._shape
        return VolumeJoints(crop, self._joints_in_bins.host.copy(), (depth, height, width))

    def close(self) -> None:
        self._size.free()
        self._joints_in_bins.free()
        self.crop_input.close()


class CudaRootNet:
    """A model of task `root`."""

    def __init__(self, gpu: Gpu, kernels: Kernels, engine: Engine) -> None:
        card = engine.card
        if card.root is None:
            raise wrong_task(card, "root")
        self.spec: Root = card.root
        self._host_outputs = [gpu.cuda.pagelocked_zeros(output.shape, output.dtype) for output in engine.outputs]
        self.crop_input = CudaCropInput(gpu, kernels, engine)

    def estimate(self, image: U8, xyxy: F32) -> RootDepth | None:
        """None where nothing of the box lies on the frame; the image is the one that the eye was turned to."""
        if (crop := self.crop_input.enqueue(xyxy)) is None:
            return None
        gpu = self.crop_input.gpu
        for host, output in zip(self._host_outputs, self.crop_input.engine.outputs, strict=True):
            gpu.cuda.memcpy_dtoh_async(host, output.memory.address, gpu.stream)
        gpu.wait()
        xy_cells, gamma = (host.astype(np.float32) for host in self._host_outputs)
        xy_px = crop.cells_to_image(xy_cells, (self.spec.cells, self.spec.cells))[0]
        return RootDepth(crop, xy_px, float(gamma[0, 0]))

    def close(self) -> None:
        self._host_outputs.clear()
        self.crop_input.close()
