"""PCK, the share of keypoints that lie where they belong."""

from __future__ import annotations

import numpy as np

from edged.frame import F64, Flags


def pck(found: F64, truth: F64, counted: Flags, length_px: F64, share: float) -> float:
    """Keypoints nearer to the truth than `share` of the subject's length, over all that count.

    PCK = #{(i, k): counted[i, k] and |found[i, k] - truth[i, k]| < share * length_px[i]} / #counted

    `found` and `truth` are (N, K, 2) in the same pixels, `counted` (N, K), `length_px` (N,).
    A subject that was not found is NaN, and wrong. NaN when nothing counts.
    """
    distance_px = np.linalg.norm(found - truth, axis=-1)
    right = distance_px < share * length_px[:, None]
    return float(right[counted].mean()) if counted.any() else float("nan")


def torso(truth: F64, visible: Flags, ends: tuple[int, int]) -> tuple[F64, Flags]:
    """The (N,) distance between two keypoints, and the (N, K) keypoints that count: visible, with both ends visible."""
    first, last = ends
    length_px = np.linalg.norm(truth[:, first] - truth[:, last], axis=-1)
    return length_px, visible & (visible[:, first] & visible[:, last])[:, None]
