"""What host and kernels share, byte for byte: kernels.h in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np

MAX_CLASSES, MAX_SUBJECTS, MAX_MODELS, MAX_LEVELS = 128, 64, 4, 5
MAX_CANDIDATES = 300
PICKS = ("score", "largest", "central")  # in the kernels' order


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
    ("limit", I),
    ("pick", I),
    ("first", I, MAX_MODELS),
    ("model_of", I, MAX_CLASSES),
    ("faint", F, MAX_CLASSES),
    ("sure", F, MAX_CLASSES),
    ("known_count", I),
    ("known", BOX, MAX_SUBJECTS),
)
COUNTERS = _struct(
    ("found", I),
    ("kept", I),
    ("chosen", I),
    ("rows", I, MAX_MODELS),
    ("detector_faults", I),
    ("pose_faults", I, MAX_MODELS),
    ("spare", I),
    ("histogram", I, 256),
    ("laplacian", np.int64),
    ("laplacian_squared", np.int64),
)
FRAME_OUTPUT = _struct(
    ("tally", COUNTERS), ("chosen", BOX, MAX_SUBJECTS)
)  # what comes back of a frame, beside keypoints
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
    ("first", I, MAX_LEVELS),
    ("nms_iou", F),
    ("scores", P, MAX_LEVELS),
    ("distances", P, MAX_LEVELS),
)
