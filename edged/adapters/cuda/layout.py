"""What host and kernels share, byte for byte: kernels.h in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np

CLASSES, SUBJECTS, MODELS, LEVELS = 128, 64, 4, 5
CANDIDATES = 300
PICKS = ("score", "largest", "central")  # in the kernels' order


def _struct(*fields: tuple[Any, ...]) -> np.dtype[np.void]:
    """With C's alignment."""
    return np.dtype(list(fields), align=True)


I, F, P = np.int32, np.float32, np.uint64  # noqa: E741  # int, float, pointer

BOX = _struct(("xyxy", F, 4), ("score", F), ("label", I), ("order", I), ("spare", I))
LOOK = _struct(
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
    ("bridge", I),
    ("first", I, MODELS),
    ("model_of", I, CLASSES),
    ("faint", F, CLASSES),
    ("sure", F, CLASSES),
    ("known_count", I),
    ("known", BOX, SUBJECTS),
)
TALLY = _struct(
    ("found", I),
    ("kept", I),
    ("chosen", I),
    ("rows", I, MODELS),
    ("detector_faults", I),
    ("pose_faults", I, MODELS),
    ("spare", I),
    ("histogram", I, 256),
    ("laplacian", np.int64),
    ("laplacian_squared", np.int64),
)
SEEN = _struct(("tally", TALLY), ("chosen", BOX, SUBJECTS))  # what comes back of a frame, beside keypoints
NET = _struct(("size", I, 2), ("pad", I), ("rgb", I), ("mean", F, 3), ("std", F, 3), ("padding", F), ("split", F))
HEADS = _struct(
    ("classes", I),
    ("levels", I),
    ("anchors", I),
    ("stride", I, LEVELS),
    ("width", I, LEVELS),
    ("height", I, LEVELS),
    ("first", I, LEVELS),
    ("nms_iou", F),
    ("scores", P, LEVELS),
    ("distances", P, LEVELS),
)
