"""Boxes from rows."""

from __future__ import annotations

import numpy as np

from edged.frame import Boxes


def boxes(*rows: tuple[list[float], float, int]) -> Boxes:
    return Boxes(
        xyxy=np.array([r[0] for r in rows], np.float32).reshape(-1, 4),
        score=np.array([r[1] for r in rows], np.float32),
        label=np.array([r[2] for r in rows], np.int64),
    )
