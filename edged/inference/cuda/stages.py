"""The two halves of a frame's work, as they go onto the stream: boxes found, and their keypoints.

Every buffer is made here, once; what a stage enqueues depends on nothing but the batch, so that it can be captured.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any

import numpy as np

from edged.frame import F32
from edged.inference.cuda.context import Gpu
from edged.inference.cuda.engine import Engine
from edged.inference.cuda.kernels import Kernels
from edged.inference.cuda.layout import (
    BOX,
    COUNTERS,
    FRAME_OUTPUT,
    FRAME_PARAMS,
    HEAD_LAYOUT,
    MAX_CANDIDATES,
    MAX_CLASSES,
    MAX_LEVELS,
    MAX_MODELS,
    MAX_SUBJECTS,
    NET_PARAMS,
)
from edged.inference.cuda.memory import DeviceBuffer, MappedArray
from edged.inference.decode.detectors import logit
from engines.card import Card, Detect, Pose
from engines.errors import CardError

TILE_THREADS = (32, 8)  # threads, over an image
ROW_THREADS = 128  # threads, over a list or the bins of a keypoint
WORD_BYTES = 4  # bytes
MAX_PIXELS = 4_200_000  # of a detector's input: 255.5 times four of it is less than 2^32, in which letterbox.cu adds
LOGIT_FAMILIES = {"rtmdet"}  # families whose outputs are compared as logits
SUPPORTED_FAMILIES = {"rtmdet", "yolox", "yolov8", "boxes"}

Lap = Callable[[str], None]  # told the name of a stage when its work is on the stream


class FrameParamsBuffer:
    """What the frame in work is looked at for, and how far it is: mapped for the host, a copy for kernels."""

    def __init__(self, gpu: Gpu, kernels: Kernels) -> None:
        self._gpu = gpu
        self._kernels = kernels
        self._host_params = MappedArray(gpu, (1,), FRAME_PARAMS)
        self._host_results = MappedArray(gpu, (1,), FRAME_OUTPUT)
        self._device_params, self._device_results = (
            DeviceBuffer(gpu, FRAME_PARAMS.itemsize),
            DeviceBuffer(gpu, FRAME_OUTPUT.itemsize),
        )
        self._rows = DeviceBuffer(gpu, MAX_MODELS * MAX_SUBJECTS * np.dtype(np.int32).itemsize)
        self.params: Any = self._host_params.host[0]  # LOOK, to be written while the GPU is idle
        self.results: Any = self._host_results.host[0]  # SEEN, to be read then
        self.params_address, self.counters_address, self.rows_address = (
            self._device_params.address,
            self._device_results.address,
            self._rows.address,
        )
        offset = FRAME_OUTPUT.fields["chosen"][1]  # type: ignore[index]
        self.chosen_address = self._device_results.address + offset

    def begin(self, *, again: bool = False) -> None:
        """Begin a frame; with `again` go on with it, asked for more."""
        self._kernels(
            "copy", (1,), (1024,), self._host_params.address, self.params_address, FRAME_PARAMS.itemsize // WORD_BYTES
        )
        if not again:
            self._gpu.cuda.memset_d32_async(self.counters_address, 0, COUNTERS.itemsize // WORD_BYTES, self._gpu.stream)

    def select(self, kept: int) -> None:
        self._kernels(
            "best",
            (1,),
            (MAX_CANDIDATES,),
            self.params_address,
            self.counters_address,
            kept,
            self.chosen_address,
            self.rows_address,
        )

    def finish(self) -> None:
        """End a frame: what was found goes to the host."""
        self._kernels(
            "copy",
            (1,),
            (1024,),
            self.counters_address,
            self._host_results.address,
            FRAME_OUTPUT.itemsize // WORD_BYTES,
        )

    def free(self) -> None:
        del self.params, self.results
        for buffer in (self._host_params, self._host_results, self._device_params, self._device_results, self._rows):
            buffer.free()


class DetectorStage:
    """Letterbox and gate, detector, decode and NMS."""

    def __init__(self, gpu: Gpu, kernels: Kernels, engine: Engine, params_buffer: FrameParamsBuffer) -> None:
        card = engine.card
        if card.detect is None:
            raise CardError(f"model {card.name} is a {card.task} model; models.detector wants a detector")
        if card.family not in SUPPORTED_FAMILIES:
            raise CardError(
                f"model {card.name}: the CUDA plane does not decode {card.family!r}; want {sorted(SUPPORTED_FAMILIES)}"
            )
        width, height = card.input.size_wh
        if width * height > MAX_PIXELS:
            raise CardError(
                f"model {card.name}: its input is {width}x{height}; the CUDA plane takes {MAX_PIXELS} pixels"
            )
        if len(card.detect.classes) > MAX_CLASSES:
            raise CardError(
                f"model {card.name}: {len(card.detect.classes)} classes; the CUDA plane takes {MAX_CLASSES}"
            )
        self.spec: Detect = card.detect
        self.card = card
        self._kernels, self._engine, self._params_buffer = kernels, engine, params_buffer
        heads = _head_layout(engine)
        self._anchors = int(heads["anchors"])
        self._buffers = [
            DeviceBuffer.from_array(gpu, net_params(card, 1, 0)),
            DeviceBuffer.from_array(gpu, heads),
            DeviceBuffer(gpu, width * height),
            DeviceBuffer(gpu, self._anchors * BOX.itemsize),
            DeviceBuffer(gpu, MAX_CANDIDATES * BOX.itemsize),
            DeviceBuffer(gpu, MAX_CANDIDATES * BOX.itemsize),
        ]
        (
            self._net_address,
            self._heads_address,
            self._grey_address,
            self._candidates_address,
            self._ordered_address,
            self.kept_address,
        ) = (buffer.address for buffer in self._buffers)

    def min_outputs(self, thresholds: F32) -> F32:
        """The least output of each class that is decoded at all."""
        return logit(thresholds) if self.card.family in LOGIT_FAMILIES else thresholds

    @property
    def tensor_bytes(self) -> int:
        return self._engine.input.memory.size

    def preprocess(self, lap: Lap) -> None:
        width, height = self.card.input.size_wh
        desk = self._params_buffer
        self.letterbox()
        lap("letterbox")
        self._kernels(
            "gate",
            tile_grid(width, ceil(height / 2)),
            TILE_THREADS,
            desk.params_address,
            self._net_address,
            self._grey_address,
            desk.counters_address,
        )
        lap("gate")

    def letterbox(self) -> None:
        (width, height), source, desk = self.card.input.size_wh, self._engine.input, self._params_buffer
        where = source.memory.address, self._grey_address
        self._kernels(
            f"letterbox{source.kernel_suffix}",
            tile_grid(width, height),
            TILE_THREADS,
            desk.params_address,
            self._net_address,
            *where,
        )

    def run_detector(self, lap: Lap) -> None:
        desk, kind = self._params_buffer, self._engine.outputs[0].kernel_suffix
        self._engine.enqueue(1)
        lap("detect")
        all_anchors = (ceil(self._anchors / ROW_THREADS),)
        self._kernels(
            f"{self.card.family}{kind}",
            all_anchors,
            (ROW_THREADS,),
            desk.params_address,
            self._heads_address,
            desk.counters_address,
            self._candidates_address,
        )
        self._kernels(
            "rank", all_anchors, (ROW_THREADS,), desk.counters_address, self._candidates_address, self._ordered_address
        )
        self._kernels(
            "nms",
            (1,),
            (MAX_CANDIDATES,),
            self._heads_address,
            desk.counters_address,
            self._ordered_address,
            self.kept_address,
        )

    def free(self) -> None:
        for buffer in self._buffers:
            buffer.free()
        self._engine.close()


class PoseStage:
    """Crops, the pose model, decode: the keypoints of the chosen boxes of its classes, `place`-th of the models."""

    def __init__(
        self, gpu: Gpu, kernels: Kernels, engine: Engine, params_buffer: FrameParamsBuffer, index: int
    ) -> None:
        card = engine.card
        if card.pose is None:
            raise CardError(f"model {card.name} is a {card.task} model; models.pose wants pose models")
        self.spec: Pose = card.pose
        self.card = card
        self.batches = engine.batches
        self._kernels, self._engine, self._params_buffer, self._index = kernels, engine, params_buffer, index
        self._along_x, self._along_y = engine.outputs
        self._count = self._along_x.shape[1]
        self._rows = params_buffer.rows_address + index * MAX_SUBJECTS * WORD_BYTES
        self._net = DeviceBuffer.from_array(gpu, net_params(card, card.pose.padding, card.pose.split))
        self._keypoints = MappedArray(gpu, (MAX_SUBJECTS, self._count, 3), np.float32)
        self.keypoints: F32 = self._keypoints.host

    def batch_for(self, subjects: int) -> int:
        """The smallest that holds them, or the largest; 0 for none."""
        if subjects <= 0:
            return 0
        return next((batch for batch in self.batches if batch >= subjects), self.batches[-1])

    def tensor_bytes(self, batch: int) -> int:
        return self._engine.input.memory.size * batch // self.batches[-1]

    def estimate(self, batch: int, lap: Lap) -> None:
        self.crop(batch)
        lap("crop")
        self._engine.enqueue(batch)
        lap("pose")
        along = self._along_x.memory.address, self._along_y.memory.address
        grid, kind = (self._count, batch), self._along_x.kernel_suffix
        self._kernels(f"simcc{kind}", grid, (ROW_THREADS,), *self._kernel_arguments, *along, self._keypoints.address)
        lap("decode")

    def crop(self, batch: int) -> None:
        (width, height), source = self.card.input.size_wh, self._engine.input
        grid = (*tile_grid(width, height), batch)
        self._kernels(f"crop{source.kernel_suffix}", grid, TILE_THREADS, *self._kernel_arguments, source.memory.address)

    @property
    def _kernel_arguments(self) -> tuple[int, ...]:
        """Whose poses: what both kernels take first."""
        desk = self._params_buffer
        return (
            desk.params_address,
            self._net.address,
            desk.chosen_address,
            self._rows,
            desk.counters_address,
            self._index,
        )

    def free(self) -> None:
        del self.keypoints
        self._keypoints.free()
        self._net.free()
        self._engine.close()


def tile_grid(width: int, height: int) -> tuple[int, int]:
    return ceil(width / TILE_THREADS[0]), ceil(height / TILE_THREADS[1])


def net_params(card: Card, padding: float, split: float) -> np.ndarray[Any, Any]:
    """NET of a card."""
    net = np.zeros(1, NET_PARAMS)
    spec = card.input
    net[0] = (spec.size_wh, spec.pad, spec.colour == "rgb", spec.mean, spec.std, padding, split)
    return net


def _head_layout(engine: Engine) -> Any:
    """HEADS of a detector's outputs, in the card's order. Raises `CardError` when their types differ."""
    card, outputs = engine.card, engine.outputs
    if len({output.kernel_suffix for output in outputs}) > 1:
        raise CardError(f"model {card.name}: its outputs are of different types; the CUDA plane wants one")
    assert card.detect is not None  # noqa: S101  # the stage has seen to it
    heads = np.zeros(1, HEAD_LAYOUT)
    head, strides, (width, height) = heads[0], card.detect.strides, card.input.size_wh
    if len(strides) > MAX_LEVELS:
        raise CardError(f"model {card.name}: {len(strides)} strides; the CUDA plane takes {MAX_LEVELS}")
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
