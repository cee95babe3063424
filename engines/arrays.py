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
    return iou_of(*shared_and_union(a, b))


def iou_of(shared: F32, union: F32) -> F32:
    """The ratio of two areas of the same shape; 0 where the union is empty."""
    ratio: F32 = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return ratio


def shared_and_union(a: F32, b: F32) -> tuple[F32, F32]:
    """The areas (N, M) that boxes (N, 4) share with (M, 4), and that either covers, both x0 y0 x1 y1."""
    shared = shared_area(a, b)
    area_a, area_b = (np.prod(np.maximum(x[:, 2:] - x[:, :2], 0), axis=1) for x in (a, b))
    return shared, np.add.outer(area_a, area_b) - shared


def shared_area(a: F32, b: F32) -> F32:
    """The area (N, M) float32 that boxes (N, 4) share with (M, 4), both x0 y0 x1 y1."""
    x, y = (
        np.minimum.outer(a[:, axis + 2], b[:, axis + 2]) - np.maximum.outer(a[:, axis], b[:, axis]) for axis in (0, 1)
    )
    area: F32 = np.maximum(x, 0) * np.maximum(y, 0)
    return area
