"""People in space on the GPU: the 3D nets look at the frame where it lies, and their volumes never leave the device.

One person at a time, as on the CPU; what comes back of a volume are the joints' places.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edged.adapters.cuda.engine import Engine
from edged.adapters.cuda.gpu import Gpu
from edged.adapters.cuda.kernels import Kernels
from edged.adapters.cuda.memory import DeviceBuffer, MappedArray
from edged.adapters.cuda.stages import TILE, Desk, net_of, tiles
from edged.adapters.lifter import Rooted, other_task
from edged.crop import Crop
from edged.frame import F32, U8
from edged.lift.space import InBins, window
from engines.card import Lift, Root
from engines.schema import SCHEMAS

VOLUME = 256  # threads for one joint's volume
FRAME = ("pixels", "format", "size", "stride")  # what a look is told of the frame


class Eye:
    """The window of the 3DMPPE family, cut out for one net."""

    def __init__(self, gpu: Gpu, kernels: Kernels, engine: Engine) -> None:
        self.engine, self.gpu = engine, gpu
        self._kernels = kernels
        self._desk = Desk(gpu, kernels)
        self._net = DeviceBuffer.holding(gpu, net_of(engine.card, 1, 0))
        asked = self._desk.asked
        asked["detect"], asked["known_count"], asked["limit"], asked["model_of"] = 0, 1, 1, -1
        asked["model_of"][0] = 0  # the window is given as the one known box, of a class that this net looks at

    def turn_to(self, asked: Any) -> None:
        """Look at the frame that the plane looks at."""
        for field in FRAME:
            self._desk.asked[field] = asked[field]

    def on(self, xyxy: F32) -> Crop | None:
        """Fill the net's input from the box's window, and say which that was; None where it misses the frame."""
        card, (width, height) = self.engine.card, self._desk.asked["size"].tolist()
        crop = window(xyxy, (width, height), card.input.size_wh, card.padding or 1.0)
        if crop is not None:
            half_w, half_h = crop.width / 2, crop.height / 2
            self._desk.asked["known"]["xyxy"][0] = (
                crop.cx - half_w, crop.cy - half_h, crop.cx + half_w, crop.cy + half_h
            )  # fmt: skip
            self._cut()
            self.engine.enqueue(1)
        return crop

    def close(self) -> None:
        self._net.free()
        self._desk.free()
        self.engine.close()

    def _cut(self) -> None:
        desk, source = self._desk, self.engine.source
        desk.open()
        desk.choose(0)
        grid = (*tiles(*self.engine.card.input.size_wh), 1)
        where = desk.look, self._net.address, desk.chosen, desk.rows, desk.tally, 0, source.memory.address
        self._kernels(f"crop{source.kind}", grid, TILE, *where)


class VolumeOnGpu:
    """A model of task `lift`."""

    def __init__(self, gpu: Gpu, kernels: Kernels, engine: Engine) -> None:
        card = engine.card
        if card.lift is None:
            raise other_task(card, "lift")
        self.spec: Lift = card.lift
        self._kernels, self._volume = kernels, engine.outputs[0]
        self._joints = len(SCHEMAS[self.spec.schema_name])
        self._shape = (self.spec.depth, *self._volume.shape[2:])
        self._size = DeviceBuffer.holding(gpu, np.array(self._shape, np.int32))
        self._places = MappedArray(gpu, (self._joints, 3), np.float32)
        self.eye = Eye(gpu, kernels, engine)

    def look(self, image: U8, xyxy: F32) -> InBins | None:
        """None where nothing of the box lies on the frame; the image is the one that the eye was turned to."""
        if (crop := self.eye.on(xyxy)) is None:
            return None
        where = self._size.address, self._volume.memory.address, self._places.address
        self._kernels(f"expected{self._volume.kind}", (self._joints, 1), (VOLUME,), *where)
        self.eye.gpu.wait()
        depth, height, width = self._shape
        return InBins(crop, self._places.host.copy(), (depth, height, width))

    def close(self) -> None:
        self._size.free()
        self._places.free()
        self.eye.close()


class RootOnGpu:
    """A model of task `root`."""

    def __init__(self, gpu: Gpu, kernels: Kernels, engine: Engine) -> None:
        card = engine.card
        if card.root is None:
            raise other_task(card, "root")
        self.spec: Root = card.root
        self._told = [gpu.cuda.pagelocked_zeros(output.shape, output.dtype) for output in engine.outputs]
        self.eye = Eye(gpu, kernels, engine)

    def look(self, image: U8, xyxy: F32) -> Rooted | None:
        """None where nothing of the box lies on the frame; the image is the one that the eye was turned to."""
        if (crop := self.eye.on(xyxy)) is None:
            return None
        gpu = self.eye.gpu
        for host, output in zip(self._told, self.eye.engine.outputs, strict=True):
            gpu.cuda.memcpy_dtoh_async(host, output.memory.address, gpu.stream)
        gpu.wait()
        xy_cells, gamma = (host.astype(np.float32) for host in self._told)
        xy_px = crop.of_cells(xy_cells, (self.spec.cells, self.spec.cells))[0]
        return Rooted(crop, xy_px, float(gamma[0, 0]))

    def close(self) -> None:
        self._told.clear()
        self.eye.close()
