"""2D metrics: PCK, AUC and EPE of keypoints in the image."""

from __future__ import annotations

import numpy as np

from edged.frame import F64, Flags
from tools.metrics.pck import pck

AUC_PX = 30.0
AUC_SHARES = np.arange(20) / 20


def pck_by_joint(found: F64, truth: F64, counted: Flags, length_px: F64, share: float) -> F64:
    """Return the PCK (K,) of every joint over the subjects; NaN where a joint never counts.

    PCK_k = #{i: counted[i, k] and |found[i, k] - truth[i, k]| < share · length_px[i]} / #{i: counted[i, k]}
    """
    joints = range(truth.shape[1])
    parts = ((found[:, k : k + 1], truth[:, k : k + 1], counted[:, k : k + 1]) for k in joints)
    return np.array([pck(f, t, c, length_px, share) for f, t, c in parts])


def pck_mean(found: F64, truth: F64, counted: Flags, length_px: F64, share: float) -> float:
    """Return the mean of `pck_by_joint`, which weighs all joints equally. Source: MMPose."""
    return _mean(pck_by_joint(found, truth, counted, length_px, share))


def auc(found: F64, truth: F64, counted: Flags, length_px: float = AUC_PX) -> float:
    """Return the mean of `pck_mean` at 20 thresholds: 0, 0.05 … 0.95 of 30 px."""
    lengths_px = np.full(len(truth), length_px)
    return float(np.mean([pck_mean(found, truth, counted, lengths_px, share) for share in AUC_SHARES]))


def epe(found: F64, truth: F64, counted: Flags) -> float:
    """Return the end point error: mean distance, px, of keypoints that count and were detected; NaN when none."""
    return _mean(np.linalg.norm(found - truth, axis=-1)[counted])


def _mean(values: F64) -> float:
    """Return the mean of the values that are not NaN; NaN when there is none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
