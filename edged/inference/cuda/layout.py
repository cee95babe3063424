"""The structs that host and kernels share, byte for byte: kernels.h, where the fields are explained, in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edged.inference.cuda.engine import Tensor
from engines.card import Card, Detect
from engines.errors import CardError

MAX_CLASSES, MAX_SUBJECTS, MAX_MODELS, MAX_LEVELS = 128, 64, 4, 5  # as in kernels.h
PICKS = ("score", "largest", "central")  # in the order of kernels.h
WORD_BYTES = 4
NO_VOTE = 2.0  # an IoU that no two boxes have


def _struct(*fields: tuple[Any, ...]) -> np.dtype[np.void]:
    """With C's alignment."""
    return np.dtype(list(fields), align=True)


I, F, P = np.int32, np.float32, np.uint64  # noqa: E741  # int, float, pointer

BOX = _struct(("xyxy", F, 4), ("score", F), ("label", I), ("order", I), ("spare", I))
FRAME_PARAMS = _struct(
    ("pixels", P),
    ("format", I),
    ("size", I, 2),
    ("stride", I),
    ("roi", I, 4),
    ("fit", I, 4),
    ("fit_scale", F),
    ("detect", I),
    ("max_subjects", I),
    ("pick", I),
    ("posed", I, MAX_MODELS),
    ("model_of", I, MAX_CLASSES),
    ("min_output", F, MAX_CLASSES),
    ("threshold", F, MAX_CLASSES),
    ("prior_count", I),
    ("priors", BOX, MAX_SUBJECTS),
)
COUNTERS = _struct(
    ("found", I),
    ("kept", I),
    ("selected", I),
    ("rows", I, MAX_MODELS),
    ("detector_faults", I),
    ("pose_faults", I, MAX_MODELS),
    ("spare", I),
    ("histogram", I, 256),
    ("laplacian", np.int64),
    ("laplacian_squared", np.int64),
)
FRAME_OUTPUT = _struct(("counters", COUNTERS), ("selected", BOX, MAX_SUBJECTS))
NET_PARAMS = _struct(
    ("size", I, 2), ("pad", I), ("rgb", I), ("mean", F, 3), ("std", F, 3), ("padding", F), ("split", F)
)
HEAD_LAYOUT = _struct(
    ("classes", I),
    ("levels", I),
    ("anchors", I),
    ("stride", I, MAX_LEVELS),
    ("width", I, MAX_LEVELS),
    ("height", I, MAX_LEVELS),
    ("first_anchor", I, MAX_LEVELS),
    ("nms_iou", F),
    ("vote_iou", F),
    ("scores", P, MAX_LEVELS),
    ("distances", P, MAX_LEVELS),
)


def net_params(card: Card, *, padding: float, split: float) -> np.ndarray[Any, Any]:
    """(1,) NET_PARAMS of a card; `padding` grows a box before its crop, `split` are SimCC bins per net px."""
    net = np.zeros(1, NET_PARAMS)
    spec = card.input
    net[0] = (spec.size_wh, spec.pad, spec.colour == "rgb", spec.mean, spec.std, padding, split)
    return net


def head_layout(card: Card, spec: Detect, outputs: Sequence[Tensor]) -> np.ndarray[Any, Any]:
    """(1,) HEAD_LAYOUT of a detector's outputs, in the card's order. Raises `CardError` when their types differ."""
    strides, (width, height) = spec.strides, card.input.size_wh
    if len({output.kernel_suffix for output in outputs}) > 1:
        raise CardError(f"model {card.name}: its outputs are of different types; the CUDA backend wants one")
    if len(strides) > MAX_LEVELS:
        raise CardError(f"model {card.name}: {len(strides)} strides; the CUDA backend takes {MAX_LEVELS}")
    heads = np.zeros(1, HEAD_LAYOUT)
    head, levels = heads[0], len(strides)
    widths, heights = [width // stride for stride in strides], [height // stride for stride in strides]
    cells = [w * h for w, h in zip(widths, heights, strict=True)]
    head["classes"], head["levels"] = len(spec.classes), levels
    head["nms_iou"], head["vote_iou"] = spec.nms_iou, NO_VOTE if spec.vote_iou is None else spec.vote_iou
    head["stride"][:levels], head["width"][:levels], head["height"][:levels] = strides, widths, heights
    head["first_anchor"][:levels] = np.cumsum([0, *cells[:-1]])
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
    return heads
