"""Joints in space, (N, J, 3) in mm of the camera's frame: how far from the truth, after which alignment.

Every alignment has its own name: the 3DMPPE family calls PA-MPJPE what others call it only with scale.
N poses without NaN; what was not found is the caller's to leave out, and to count.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edged.frame import F64

PCK_MM = 150.0
AUC_MM = np.linspace(0, 150, 31)


class RootError(NamedTuple):
    """Mean distance of the roots, and the mean absolute error along each axis, in mm."""

    mrpe: float
    x: float
    y: float
    z: float


def errors(found: F64, truth: F64) -> F64:
    """(N, J) distances."""
    return np.asarray(np.linalg.norm(found - truth, axis=-1))


def rooted(poses: F64, root: int) -> F64:
    """The poses as seen from one of their joints."""
    return poses - poses[:, root : root + 1]


def mpjpe(found: F64, truth: F64, root: int) -> float:
    """Mean per joint position error: mean over poses and joints of |(p_j - p_root) - (g_j - g_root)|."""
    return float(errors(rooted(found, root), rooted(truth, root)).mean())


def aligned(found: F64, truth: F64, *, scale: bool) -> F64:
    """Every pose turned and moved, and with `scale` sized, so that it lies nearest to its truth in squares.

    With both centred on their means and U S Vᵀ = svd(Σ_j p_j g_jᵀ), D = diag(1, 1, det(V Uᵀ)):
    R = V D Uᵀ,  s = tr(S D) / Σ_j |p_j|² (1 without `scale`),  the aligned pose is s R p + mean(g).
    D keeps a mirrored pose mirrored. Source: Kabsch 1976, Umeyama 1991.
    """
    p, g = found - found.mean(axis=1, keepdims=True), truth - truth.mean(axis=1, keepdims=True)
    u, s, vt = np.linalg.svd(np.einsum("nji,njk->nik", p, g))
    signs = np.ones_like(s)
    signs[:, 2] = np.sign(np.linalg.det(u) * np.linalg.det(vt))
    turn = np.einsum("nki,nk,njk->nij", vt, signs, u)
    size = _ratio((s * signs).sum(axis=1), p) if scale else np.ones(len(p))
    moved = size[:, None, None] * np.einsum("nik,njk->nji", turn, p)
    return np.asarray(moved + truth.mean(axis=1, keepdims=True))


def pa_mpjpe_rigid(found: F64, truth: F64) -> float:
    """Mean joint error after rotation and translation. 3DMPPE, ConvNeXtPose, MobileHumanPose: their PA-MPJPE."""
    return float(errors(aligned(found, truth, scale=False), truth).mean())


def pa_mpjpe_similarity(found: F64, truth: F64) -> float:
    """Mean joint error after rotation, translation and scale. MMPose's P-MPJPE, and the PA-MPJPE of most papers."""
    return float(errors(aligned(found, truth, scale=True), truth).mean())


def n_mpjpe(found: F64, truth: F64, root: int) -> float:
    """Mean joint error after scale alone: both rooted, s = Σ_j p_j · g_j / Σ_j |p_j|² for every pose."""
    p, g = rooted(found, root), rooted(truth, root)
    size = _ratio((p * g).sum(axis=(1, 2)), p)
    return float(errors(size[:, None, None] * p, g).mean())


def mrpe(found_root: F64, truth_root: F64) -> RootError:
    """Mean root position error of roots (N, 3) in the camera's frame: mean of |p - g|, and of |p - g| by axis."""
    off = found_root - truth_root
    return RootError(float(np.linalg.norm(off, axis=1).mean()), *np.abs(off).mean(axis=0).tolist())


def pck3d(found: F64, truth: F64, root: int, limit_mm: float = PCK_MM) -> float:
    """3DPCK: the share of joints less than 150 mm from the truth, both rooted."""
    return float((errors(rooted(found, root), rooted(truth, root)) < limit_mm).mean())


def auc3d(found: F64, truth: F64, root: int) -> float:
    """The mean 3DPCK at 31 limits, 0, 5 … 150 mm."""
    return float(np.mean([pck3d(found, truth, root, limit) for limit in AUC_MM]))


def _ratio(likeness: F64, poses: F64) -> F64:
    """(N,) by the sum of squares of each pose; 1 where all joints lie in one point, which no size changes."""
    squares = (poses**2).sum(axis=(1, 2))
    size: F64 = np.divide(likeness, squares, out=np.ones_like(squares), where=squares > 0)
    return size
