"""3D metrics: distances of joints (N, J, 3), mm in the camera's frame, after several alignments.

Every alignment has a function of its own: the 3DMPPE family computes PA-MPJPE without scale, others with it.
Poses must not contain NaN: the caller leaves out and counts poses that were not detected.
"""

from __future__ import annotations

from collections.abc import Sequence
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


def distances_mm(found: F64, truth: F64) -> F64:
    """Return the distances (N, J), mm."""
    return np.asarray(np.linalg.norm(found - truth, axis=-1))


def root_relative(poses: F64, root: int) -> F64:
    """Return the poses (N, J, 3) relative to one of their joints, mm."""
    return poses - poses[:, root : root + 1]


def mpjpe(found: F64, truth: F64, root: int) -> float:
    """Return the mean per joint position error, mm: mean over poses and joints of |(p_j - p_root) - (g_j - g_root)|."""
    return float(distances_mm(root_relative(found, root), root_relative(truth, root)).mean())


def aligned(found: F64, truth: F64, *, scale: bool) -> F64:
    """Return every pose after the rotation, translation and, with `scale`, scale of least squared error (Procrustes).

    Both poses centred on their means, U S Vᵀ = svd(Σ_j p_j g_jᵀ), D = diag(1, 1, det(V Uᵀ)):
    R = V D Uᵀ,  s = tr(S D) / Σ_j |p_j|² (1 without `scale`),  the aligned pose is s R p + mean(g).
    D excludes reflections. Source: Kabsch 1976, Umeyama 1991.
    """
    p, g = found - found.mean(axis=1, keepdims=True), truth - truth.mean(axis=1, keepdims=True)
    u, s, vt = np.linalg.svd(np.einsum("nji,njk->nik", p, g))
    signs = np.ones_like(s)
    signs[:, 2] = np.sign(np.linalg.det(u) * np.linalg.det(vt))
    rotation = np.einsum("nki,nk,njk->nij", vt, signs, u)
    size = _ratio((s * signs).sum(axis=1), p) if scale else np.ones(len(p))
    moved = size[:, None, None] * np.einsum("nik,njk->nji", rotation, p)
    return np.asarray(moved + truth.mean(axis=1, keepdims=True))


def pa_mpjpe_rigid(found: F64, truth: F64) -> float:
    """Return the mean joint error after rotation and translation, mm: PA-MPJPE of 3DMPPE and its family."""
    return float(distances_mm(aligned(found, truth, scale=False), truth).mean())


def pa_mpjpe_similarity(found: F64, truth: F64) -> float:
    """Return the mean joint error after rotation, translation and scale, mm: P-MPJPE of MMPose, usually PA-MPJPE."""
    return float(distances_mm(aligned(found, truth, scale=True), truth).mean())


def n_mpjpe(found: F64, truth: F64, root: int) -> float:
    """Return the mean joint error after scale alone, mm: s = Σ_j p_j · g_j / Σ_j |p_j|² for every pose."""
    p, g = root_relative(found, root), root_relative(truth, root)
    size = _ratio((p * g).sum(axis=(1, 2)), p)
    return float(distances_mm(size[:, None, None] * p, g).mean())


def mrpe(found_root: F64, truth_root: F64) -> RootError:
    """Mean root position error of roots (N, 3) in the camera's frame: mean of |p - g|, and of |p - g| by axis."""
    off = found_root - truth_root
    return RootError(float(np.linalg.norm(off, axis=1).mean()), *np.abs(off).mean(axis=0).tolist())


def pck3d(found: F64, truth: F64, root: int, limit_mm: float = PCK_MM) -> float:
    """3DPCK: the share of joints less than 150 mm from the truth, both rooted."""
    return float((distances_mm(root_relative(found, root), root_relative(truth, root)) < limit_mm).mean())


def auc3d(found: F64, truth: F64, root: int) -> float:
    """The mean 3DPCK at 31 limits, 0, 5 … 150 mm."""
    return float(np.mean([pck3d(found, truth, root, limit) for limit in AUC_MM]))


def mpjae(found: F64, truth: F64, limbs: Sequence[tuple[int, int]]) -> float:
    """Mean per joint angle error, degrees: the mean angle between the found and the true direction of each limb (a, b).

    Without any alignment. Of points in space the turn of a limb around itself is not known, so it does not count, as it
    does for body models; a limb of no length counts as 90 degrees off.
    """
    ends = np.array(limbs)
    directions = [_unit(poses[:, ends[:, 1]] - poses[:, ends[:, 0]]) for poses in (found, truth)]
    cosine = np.einsum("nlk,nlk->nl", *directions).clip(-1, 1)
    return float(np.degrees(np.arccos(cosine)).mean())


def _unit(vectors: F64) -> F64:
    """Of length one; a vector of no length stays so."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: F64 = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
    return unit


def _ratio(likeness: F64, poses: F64) -> F64:
    """(N,) by the sum of squares of each pose; 1 where all joints lie in one point, which no size changes."""
    squares = (poses**2).sum(axis=(1, 2))
    size: F64 = np.divide(likeness, squares, out=np.ones_like(squares), where=squares > 0)
    return size
