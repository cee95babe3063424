"""SimCC heads (RTMPose): one distribution over x and one over y per keypoint."""

from __future__ import annotations

import numpy as np

from edged.frame import F32, SCORE, XY, X, Y


def simcc(along_x: F32, along_y: F32, split: float) -> F32:
    """Keypoints (N, K, 3) float32 x, y in net pixels and score, of activations (N, K, split·W) and (N, K, split·H).

    The highest bin, without refinement; the score is the smaller of the two peaks: an activation, not a probability,
    it may exceed 1. A score of 0 or less means not found: x and y are NaN.
    Ties: the lowest bin. A NaN beats every number and yields score NaN.
    Source: MMPose get_simcc_maximum, SimCCLabel.decode.
    """
    ix, iy = along_x.argmax(axis=2), along_y.argmax(axis=2)
    out = np.empty((*ix.shape, 3), np.float32)
    out[..., X], out[..., Y] = ix / split, iy / split
    out[..., SCORE] = np.minimum(along_x.max(axis=2), along_y.max(axis=2))
    out[out[..., SCORE] <= 0, XY] = np.nan
    return out
