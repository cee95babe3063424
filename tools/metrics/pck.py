"""PCK: the percentage of correct keypoints."""

from __future__ import annotations

import numpy as np

from edged.frame import F64, Flags


def pck(found: F64, truth: F64, counted: Flags, length_px: F64, share: float) -> float:
    """Return the share of counted keypoints nearer to the truth than `share` of the length of their subject.

    PCK = #{(i, k): counted[i, k] and |found[i, k] - truth[i, k]| < share * length_px[i]} / #counted

    `found` and `truth` are (N, K, 2) in the same pixels, `counted` (N, K), `length_px` (N,).
    NaN in `found` (not detected) counts as wrong. The result is NaN when no keypoint counts.
    """
    distance_px = np.linalg.norm(found - truth, axis=-1)
    right = distance_px < share * length_px[:, None]
    return float(right[counted].mean()) if counted.any() else float("nan")


def torso(truth: F64, visible: Flags, ends: tuple[int, int]) -> tuple[F64, Flags]:
    """Return the distance (N,) of two keypoints, px, and which keypoints (N, K) are visible with both ends visible."""
    first, last = ends
    length_px = np.linalg.norm(truth[:, first] - truth[:, last], axis=-1)
    return length_px, visible & (visible[:, first] & visible[:, last])[:, None]
