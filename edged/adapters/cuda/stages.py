"""The two halves of a frame's work, as they go onto the stream: boxes found, and their keypoints.

Every buffer is made here, once; what a stage enqueues depends on nothing but the batch, so that it can be captured.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any

import numpy as np

from edged.adapters.cuda.engine import Engine
from edged.adapters.cuda.gpu import Gpu
from edged.adapters.cuda.kernels import Kernels
from edged.adapters.cuda.layout import BOX, CANDIDATES, CLASSES, HEADS, LEVELS, LOOK, MODELS, NET, SEEN, SUBJECTS, TALLY
from edged.adapters.cuda.memory import DeviceBuffer, MappedArray
from edged.decode.detectors import logit
from edged.frame import F32
from engines.card import Card, Detect, Pose
from engines.errors import CardError

TILE = (32, 8)  # threads, over an image
ROW = 128  # threads, over a list or the bins of a keypoint
WORD = 4  # bytes
MOST_PIXELS = 4_200_000  # of a detector's input: 255.5 times four of it is less than 2^32, in which letterbox.cu adds
LOGITS = {"rtmdet"}  # families whose outputs are compared as logits
FAMILIES = {"rtmdet", "yolox", "yolov8", "boxes"}

Lap = Callable[[str], None]  # told the name of a stage when its work is on the stream


class Desk:
    """What the frame in work is looked at for, and how far it is: mapped for the host, a copy for kernels."""

    def __init__(self, gpu: Gpu, kernels: Kernels) -> None:
        self._gpu = gpu
        self._kernels = kernels
        self._asked = MappedArray(gpu, (1,), LOOK)
        self._told = MappedArray(gpu, (1,), SEEN)
        self._look, self._seen = DeviceBuffer(gpu, LOOK.itemsize), DeviceBuffer(gpu, SEEN.itemsize)
        self._rows = DeviceBuffer(gpu, MODELS * SUBJECTS * np.dtype(np.int32).itemsize)
        self.asked: Any = self._asked.host[0]  # LOOK, to be written while the GPU is idle
        self.told: Any = self._told.host[0]  # SEEN, to be read then
        self.look, self.tally, self.rows = self._look.address, self._seen.address, self._rows.address
        offset = SEEN.fields["chosen"][1]  # type: ignore[index]
        self.chosen = self._seen.address + offset

    def open(self, *, again: bool = False) -> None:
        """Begin a frame; with `again` go on with it, asked for more."""
        self._kernels("copy", (1,), (1024,), self._asked.address, self.look, LOOK.itemsize // WORD)
        if not again:
            self._gpu.cuda.memset_d32_async(self.tally, 0, TALLY.itemsize // WORD, self._gpu.stream)

    def choose(self, kept: int) -> None:
        self._kernels("best", (1,), (CANDIDATES,), self.look, self.tally, kept, self.chosen, self.rows)

    def close(self) -> None:
        """End a frame: what was found goes to the host."""
        self._kernels("copy", (1,), (1024,), self.tally, self._told.address, SEEN.itemsize // WORD)

    def free(self) -> None:
        del self.asked, self.told
        for buffer in (self._asked, self._told, self._look, self._seen, self._rows):
            buffer.free()


class DetectorStage:
    """Letterbox and gate, detector, decode and NMS."""

    def __init__(self, gpu: Gpu, kernels: Kernels, engine: Engine, desk: Desk) -> None:
        card = engine.card
        if card.detect is None:
            raise CardError(f"model {card.name} is a {card.task} model; models.detector wants a detector")
        if card.family not in FAMILIES:
            raise CardError(
                f"model {card.name}: the CUDA plane does not decode {card.family!r}; want {sorted(FAMILIES)}"
            )
        width, height = card.input.size_wh
        if width * height > MOST_PIXELS:
            raise CardError(
                f"model {card.name}: its input is {width}x{height}; the CUDA plane takes {MOST_PIXELS} pixels"
            )
        if len(card.detect.classes) > CLASSES:
            raise CardError(f"model {card.name}: {len(card.detect.classes)} classes; the CUDA plane takes {CLASSES}")
        self.detect: Detect = card.detect
        self.card = card
        self._kernels, self._engine, self._desk = kernels, engine, desk
        heads = _heads(engine)
        self._anchors = int(heads["anchors"])
        self._buffers = [
            DeviceBuffer.holding(gpu, net_of(card, 1, 0)),
            DeviceBuffer.holding(gpu, heads),
            DeviceBuffer(gpu, width * height),
            DeviceBuffer(gpu, self._anchors * BOX.itemsize),
            DeviceBuffer(gpu, CANDIDATES * BOX.itemsize),
            DeviceBuffer(gpu, CANDIDATES * BOX.itemsize),
        ]
        self._net, self._heads, self._grey, self._candidates, self._ordered, self.kept = (
            buffer.address for buffer in self._buffers
        )

    def limits(self, thresholds: F32) -> F32:
        """The least output of each class that is decoded at all."""
        return logit(thresholds) if self.card.family in LOGITS else thresholds

    @property
    def tensor_bytes(self) -> int:
        return self._engine.source.memory.size

    def look(self, lap: Lap) -> None:
        width, height = self.card.input.size_wh
        desk = self._desk
        self.letterbox()
        lap("letterbox")
        self._kernels("gate", tiles(width, ceil(height / 2)), TILE, desk.look, self._net, self._grey, desk.tally)
        lap("gate")

    def letterbox(self) -> None:
        (width, height), source, desk = self.card.input.size_wh, self._engine.source, self._desk
        where = source.memory.address, self._grey
        self._kernels(f"letterbox{source.kind}", tiles(width, height), TILE, desk.look, self._net, *where)

    def find(self, lap: Lap) -> None:
        desk, kind = self._desk, self._engine.outputs[0].kind
        self._engine.enqueue(1)
        lap("detect")
        all_anchors = (ceil(self._anchors / ROW),)
        self._kernels(
            f"{self.card.family}{kind}", all_anchors, (ROW,), desk.look, self._heads, desk.tally, self._candidates
        )
        self._kernels("rank", all_anchors, (ROW,), desk.tally, self._candidates, self._ordered)
        self._kernels("nms", (1,), (CANDIDATES,), self._heads, desk.tally, self._ordered, self.kept)

    def free(self) -> None:
        for buffer in self._buffers:
            buffer.free()
        self._engine.close()


class PoseStage:
    """Crops, the pose model, decode: the keypoints of the chosen boxes of its classes, `place`-th of the models."""

    def __init__(self, gpu: Gpu, kernels: Kernels, engine: Engine, desk: Desk, place: int) -> None:
        card = engine.card
        if card.pose is None:
            raise CardError(f"model {card.name} is a {card.task} model; models.pose wants pose models")
        self.pose: Pose = card.pose
        self.card = card
        self.batches = engine.batches
        self._kernels, self._engine, self._desk, self._place = kernels, engine, desk, place
        self._along_x, self._along_y = engine.outputs
        self._count = self._along_x.shape[1]
        self._rows = desk.rows + place * SUBJECTS * WORD
        self._net = DeviceBuffer.holding(gpu, net_of(card, card.pose.padding, card.pose.split))
        self._keypoints = MappedArray(gpu, (SUBJECTS, self._count, 3), np.float32)
        self.keypoints: F32 = self._keypoints.host

    def batch(self, subjects: int) -> int:
        """The smallest that holds them, or the largest; 0 for none."""
        if subjects <= 0:
            return 0
        return next((batch for batch in self.batches if batch >= subjects), self.batches[-1])

    def tensor_bytes(self, batch: int) -> int:
        return self._engine.source.memory.size * batch // self.batches[-1]

    def estimate(self, batch: int, lap: Lap) -> None:
        self.crop(batch)
        lap("crop")
        self._engine.enqueue(batch)
        lap("pose")
        along = self._along_x.memory.address, self._along_y.memory.address
        grid, kind = (self._count, batch), self._along_x.kind
        self._kernels(f"simcc{kind}", grid, (ROW,), *self._subjects, *along, self._keypoints.address)
        lap("decode")

    def crop(self, batch: int) -> None:
        (width, height), source = self.card.input.size_wh, self._engine.source
        grid = (*tiles(width, height), batch)
        self._kernels(f"crop{source.kind}", grid, TILE, *self._subjects, source.memory.address)

    @property
    def _subjects(self) -> tuple[int, ...]:
        """Whose poses: what both kernels take first."""
        desk = self._desk
        return desk.look, self._net.address, desk.chosen, self._rows, desk.tally, self._place

    def free(self) -> None:
        del self.keypoints
        self._keypoints.free()
        self._net.free()
        self._engine.close()


def tiles(width: int, height: int) -> tuple[int, int]:
    return ceil(width / TILE[0]), ceil(height / TILE[1])


def net_of(card: Card, padding: float, split: float) -> np.ndarray[Any, Any]:
    """NET of a card."""
    net = np.zeros(1, NET)
    spec = card.input
    net[0] = (spec.size_wh, spec.pad, spec.colour == "rgb", spec.mean, spec.std, padding, split)
    return net


def _heads(engine: Engine) -> Any:
    """HEADS of a detector's outputs, in the card's order. Raises `CardError` when their types differ."""
    card, outputs = engine.card, engine.outputs
    if len({output.kind for output in outputs}) > 1:
        raise CardError(f"model {card.name}: its outputs are of different types; the CUDA plane wants one")
    assert card.detect is not None  # noqa: S101  # the stage has seen to it
    heads = np.zeros(1, HEADS)
    head, strides, (width, height) = heads[0], card.detect.strides, card.input.size_wh
    if len(strides) > LEVELS:
        raise CardError(f"model {card.name}: {len(strides)} strides; the CUDA plane takes {LEVELS}")
    sizes = [(width // stride, height // stride) for stride in strides]
    cells = [w * h for w, h in sizes]
    levels = len(strides)
    head["classes"], head["levels"], head["nms_iou"] = len(card.detect.classes), levels, card.detect.nms_iou
    head["stride"][:levels], head["first"][:levels] = strides, np.cumsum([0, *cells[:-1]])
    head["width"][:levels], head["height"][:levels] = [w for w, _ in sizes], [h for _, h in sizes]
    addresses = [output.memory.address for output in outputs]
    if card.family == "rtmdet":
        head["scores"][:levels], head["distances"][:levels] = addresses[:levels], addresses[levels:]
        head["anchors"] = sum(cells)
    elif card.family == "boxes":
        head["distances"][0], head["scores"][0] = addresses[0], addresses[1]
        head["anchors"] = outputs[0].shape[1]
    else:
        head["scores"][0] = addresses[0]
        head["anchors"] = outputs[0].shape[2 if card.family == "yolov8" else 1]
    return head
