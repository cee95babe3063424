"""Bones: a pose (rotations per joint) to joint frames, and a mesh bent by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numba import njit, prange

from tools.synth.flesh import Cone, cone_depths
from tools.synth.types import F32, F64, I32

Turn: TypeAlias = tuple[float, float, float]  # roll, pitch, yaw in rad; a positive pitch lowers what points forward
Joints: TypeAlias = Mapping[str, Turn]
INFLUENCES = 4  # bones per vertex
STILL: Turn = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bone:
    name: str
    parent: str | None
    joint: tuple[float, float, float]  # where it turns, rest pose, m


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Skin:
    """What ties vertices to bones."""

    bones: I32  # (V, 4)
    weights: F32  # (V, 4), sum 1


class Skeleton:
    """A tree of bones, parents first; in the rest pose every bone's frame is the body's."""

    def __init__(self, bones: Sequence[Bone]) -> None:
        self.index = {bone.name: i for i, bone in enumerate(bones)}
        self.parents = [self.index[bone.parent] if bone.parent else -1 for bone in bones]
        self.joints = np.array([bone.joint for bone in bones], np.float64)

    def frames(self, turns: Joints, root: F64) -> F64:
        """(B, 4, 4) the transforms that take rest-pose points of each bone into the world."""
        rotation = np.tile(np.eye(3), (len(self.parents), 1, 1))
        for name, turn in turns.items():
            rotation[self.index[name]] = rotate(turn)
        out = np.empty((len(self.parents), 4, 4))
        for i, parent in enumerate(self.parents):
            out[i] = (out[parent] if parent >= 0 else root) @ about(self.joints[i], rotation[i])
        return out


def rotate(turn: Turn) -> F64:
    """Yaw, then pitch, then roll."""
    (sr, sp, sy), (cr, cp, cy) = np.sin(turn), np.cos(turn)
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )


def about(point: F64, rotation: F64) -> F64:
    """A 4 x 4 rotation about a point."""
    frame = np.eye(4)
    frame[:3, :3] = rotation
    frame[:3, 3] = point - rotation @ point
    return frame


def placed(xyz: Sequence[float], turn: Turn, scale: float = 1.0) -> F64:
    """A 4 x 4 frame: turned, sized, then moved."""
    frame = np.eye(4)
    frame[:3, :3] = rotate(turn) * scale
    frame[:3, 3] = xyz
    return frame


def skin(skeleton: Skeleton, cones: Sequence[Cone], vertices: F32, triangles: I32) -> Skin:
    """Every vertex follows the bones whose flesh it lies nearest to, softly at the joints."""
    depth = cone_depths(cones, vertices)  # (V, N)
    bone_of = np.array([skeleton.index[cone.bone] for cone in cones])
    size = np.array([min(cone.ra, cone.rb) * cone.flat for cone in cones])
    gap = (depth - depth.min(axis=1, keepdims=True)) / (0.35 * size + 0.012)
    pull = np.exp(-gap)
    weights = np.zeros((len(vertices), len(skeleton.parents)))
    for bone in np.unique(bone_of):
        weights[:, bone] = pull[:, bone_of == bone].max(axis=1)
    weights = _spread(weights / weights.sum(axis=1, keepdims=True), triangles, rounds=3)
    best = np.argsort(-weights, axis=1)[:, :INFLUENCES]
    kept = np.take_along_axis(weights, best, axis=1)
    kept /= kept.sum(axis=1, keepdims=True)
    return Skin(bones=best.astype(np.int32), weights=kept.astype(np.float32))


def _spread(weights: F64, triangles: I32, rounds: int) -> F64:
    """Weights averaged with the neighbours', so that joints bend and do not break."""
    for _ in range(rounds):
        total, count = weights.copy(), np.ones((len(weights), 1))
        for a, b in ((0, 1), (1, 2), (2, 0)):
            np.add.at(total, triangles[:, a], weights[triangles[:, b]])
            np.add.at(count, triangles[:, a], 1)
        weights = total / count
    return weights


@njit(parallel=True, fastmath=True, cache=True)
def bend(vertices: F32, bones: I32, weights: F32, frames: F32) -> F32:
    """(V, 3) linear blend skinning."""
    out = np.empty_like(vertices)
    for v in prange(len(vertices)):
        for row in range(3):
            total = 0.0
            for n in range(weights.shape[1]):
                f = frames[bones[v, n], row]
                part = f[0] * vertices[v, 0] + f[1] * vertices[v, 1] + f[2] * vertices[v, 2] + f[3]
                total += weights[v, n] * part
            out[v, row] = total
    return out
