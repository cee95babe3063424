"""Array types, and the overlap of boxes. Pure numpy; imports nothing of ours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]


def box_iou(a: F32, b: F32) -> F32:
    """Intersection over union (N, M) float32 in [0, 1] of boxes (N, 4) with (M, 4), both x0 y0 x1 y1.

    An empty box overlaps nothing: 0.
    """
    shared = shared_area(a, b)
    area_a, area_b = (np.prod(np.clip(x[:, 2:] - x[:, :2], 0, None), axis=1) for x in (a, b))
    total = area_a[:, None] + area_b[None, :] - shared
    ratio: F32 = np.divide(shared, total, out=np.zeros_like(shared), where=total > 0)
    return ratio


def shared_area(a: F32, b: F32) -> F32:
    """The area (N, M) float32 that boxes (N, 4) share with (M, 4), both x0 y0 x1 y1."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    area: F32 = np.prod(np.clip(high - low, 0, None), axis=2)
    return area
