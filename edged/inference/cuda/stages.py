"""The two halves of a frame's work on the stream: detection, and the poses of one model.

All buffers are made at the start; what a stage enqueues depends on the batch alone, so that a graph can capture it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

import numpy as np

from edged.frame import F32
from edged.inference.cuda.context import Gpu
from edged.inference.cuda.engine import Engine
from edged.inference.cuda.frame_params import FrameParamsBuffer
from edged.inference.cuda.kernels import Kernels
from edged.inference.cuda.layout import (
    BOX,
    MAX_CLASSES,
    MAX_SUBJECTS,
    WORD_BYTES,
    head_layout,
    net_params,
)
from edged.inference.cuda.memory import DeviceBuffer, MappedArray
from edged.inference.decode.detectors import FAMILIES, logit
from edged.inference.decode.nms import MAX_CANDIDATES
from engines.card import Detect, Pose
from engines.errors import CardError

TILE_THREADS = (32, 8)  # of a block, over an image
ROW_THREADS = 128  # of a block, over a list or the bins of a keypoint
MAX_PIXELS = 4_200_000  # of a detector's input: letterbox.cu adds up to 4 · 255.5 times that in 32 bits
Lap = Callable[[str], None]  # called with a stage's name when its work is on the stream


class DetectorStage:
    """Letterbox, image quality, detector, decode, NMS. Owns the engine."""

    def __init__(self, gpu: Gpu, kernels: Kernels, engine: Engine, params_buffer: FrameParamsBuffer) -> None:
        self.card = engine.card
        self.spec = _supported_spec(engine)
        self._kernels, self._engine, self._params_buffer = kernels, engine, params_buffer
        width, height = self.card.input.size_wh
        heads = head_layout(self.card, self.spec, engine.outputs)
        self._anchors = int(heads["anchors"][0])
        self._net = DeviceBuffer.from_array(gpu, net_params(self.card, padding=1, split=0))
        self._heads = DeviceBuffer.from_array(gpu, heads)
        self._grey = DeviceBuffer(gpu, width * height)
        self._candidates = DeviceBuffer(gpu, self._anchors * BOX.itemsize)
        self._ordered = DeviceBuffer(gpu, MAX_CANDIDATES * BOX.itemsize)
        self._kept = DeviceBuffer(gpu, MAX_CANDIDATES * BOX.itemsize)

    def min_outputs(self, thresholds: F32) -> F32:
        """(C,) float32 least output of each class that is decoded, of least scores (C,) in [0, 1]."""
        return logit(thresholds) if FAMILIES[self.card.family].gives_logits else thresholds

    @property
    def kept_address(self) -> int:
        return self._kept.address

    @property
    def tensor_bytes(self) -> int:
        return self._engine.input.memory.size

    def preprocess(self, lap: Lap) -> None:
        """Enqueues the letterbox and the sums of the image quality."""
        self.letterbox()
        lap("letterbox")
        width, height = self.card.input.size_wh
        buffer, grid = self._params_buffer, tile_grid(width, ceil(height / 2))
        inputs = buffer.params_address, self._net.address, self._grey.address
        self._kernels("image_quality", grid, TILE_THREADS, *inputs, buffer.counters_address)
        lap("quality")

    def letterbox(self) -> None:
        tensor, grid = self._engine.input, tile_grid(*self.card.input.size_wh)
        inputs = self._params_buffer.params_address, self._net.address
        outputs = tensor.memory.address, self._grey.address
        self._kernels(f"letterbox{tensor.kernel_suffix}", grid, TILE_THREADS, *inputs, *outputs)

    def run_detector(self, lap: Lap) -> None:
        """Enqueues the engine, its decoder and the NMS; the boxes kept lie at `kept_address`."""
        params, counters = self._params_buffer.params_address, self._params_buffer.counters_address
        heads, candidates, ordered = self._heads.address, self._candidates.address, self._ordered.address
        self._engine.enqueue(1)
        lap("detect")
        grid, block = (ceil(self._anchors / ROW_THREADS),), (ROW_THREADS,)
        decoder = f"{self.card.family}{self._engine.outputs[0].kernel_suffix}"
        self._kernels(decoder, grid, block, params, heads, counters, candidates)
        self._kernels("rank", grid, block, counters, candidates, ordered)
        self._kernels("nms", (1,), (MAX_CANDIDATES,), heads, counters, ordered, self.kept_address)

    def free(self) -> None:
        for buffer in (self._net, self._heads, self._grey, self._candidates, self._ordered, self._kept):
            buffer.free()
        self._engine.close()


class PoseStage:
    """Crops, one pose model, decode: keypoints of the selected boxes of its classes. Owns the engine.

    `index` is the model's place among the pose models. `keypoints` (MAX_SUBJECTS, K, 3) float32 holds x, y in image
    px and the score, in the order of the boxes; x, y NaN: not found; valid until the next frame.
    """

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
        self._keypoint_count = self._along_x.shape[1]
        self._rows_address = params_buffer.rows_address + index * MAX_SUBJECTS * WORD_BYTES
        self._net = DeviceBuffer.from_array(gpu, net_params(card, padding=card.pose.padding, split=card.pose.split))
        self._keypoints = MappedArray(gpu, (MAX_SUBJECTS, self._keypoint_count, 3), np.float32)
        self.keypoints: F32 = self._keypoints.host

    def batch_for(self, subjects: int) -> int:
        """The smallest batch that holds so many, else the largest; 0 for none."""
        if subjects <= 0:
            return 0
        return next((batch for batch in self.batches if batch >= subjects), self.batches[-1])

    def tensor_bytes(self, batch: int) -> int:
        return self._engine.input.memory.size * batch // self.batches[-1]

    def estimate(self, batch: int, lap: Lap) -> None:
        """Enqueues crops, the engine and the decoder for the next `batch` rows."""
        self.crop(batch)
        lap("crop")
        self._engine.enqueue(batch)
        lap("pose")
        along, grid = (self._along_x.memory.address, self._along_y.memory.address), (self._keypoint_count, batch)
        kernel = f"simcc{self._along_x.kernel_suffix}"
        self._kernels(kernel, grid, (ROW_THREADS,), *self._common_arguments, *along, self._keypoints.address)
        lap("decode")

    def crop(self, batch: int) -> None:
        tensor, grid = self._engine.input, (*tile_grid(*self.card.input.size_wh), batch)
        self._kernels(f"crop{tensor.kernel_suffix}", grid, TILE_THREADS, *self._common_arguments, tensor.memory.address)

    @property
    def _common_arguments(self) -> tuple[int, ...]:
        """The first arguments of both kernels."""
        buffer = self._params_buffer
        boxes = buffer.selected_address, self._rows_address
        return buffer.params_address, self._net.address, *boxes, buffer.counters_address, self._index

    def free(self) -> None:
        del self.keypoints
        self._keypoints.free()
        self._net.free()
        self._engine.close()


def tile_grid(width: int, height: int) -> tuple[int, int]:
    """Blocks of `TILE_THREADS` that cover an image."""
    return ceil(width / TILE_THREADS[0]), ceil(height / TILE_THREADS[1])


def _supported_spec(engine: Engine) -> Detect:
    """The detector part of the card. Raises `CardError` when the kernels cannot take the model."""
    card = engine.card
    if card.detect is None:
        raise CardError(f"model {card.name} is a {card.task} model; models.detector wants a detector")
    if card.family not in (known := sorted(name for name, family in FAMILIES.items() if family.has_kernel)):
        raise CardError(f"model {card.name}: the CUDA backend does not decode {card.family!r}; want {known}")
    width, height = card.input.size_wh
    if width * height > MAX_PIXELS:
        raise CardError(f"model {card.name}: its input is {width}x{height}; the CUDA backend takes {MAX_PIXELS} pixels")
    if len(card.detect.classes) > MAX_CLASSES:
        raise CardError(f"model {card.name}: {len(card.detect.classes)} classes; the CUDA backend takes {MAX_CLASSES}")
    return card.detect
