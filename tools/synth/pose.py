"""Poses: between key poses, on the way through them, and settled on the ground.

Angles are in degrees, as people think of them: roll, pitch, yaw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from tools.synth.body import Body
from tools.synth.skeleton import Turn, about, placed
from tools.synth.types import F32, F64, f32

Turns: TypeAlias = Mapping[str, Turn]  # by bone


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """Angles in degrees: roll, pitch, yaw."""

    behaviour: str
    trunk: tuple[float, float, float] = (0.0, 0.0, 0.0)  # of the whole body
    turns: Turns = field(default_factory=dict)
    level: float = 1.0  # 1: the trunk pitches until fore and hind end both touch the ground; 0: it stays
    lies: float = 0.0  # 1 rests on the trunk, legs pressed into the bedding; 0 on whatever is lowest


def blend(a: Pose, b: Pose, t: float) -> Pose:
    """Between two poses; it is called after the one that is nearer."""
    names = sorted({*a.turns, *b.turns})
    still = (0.0, 0.0, 0.0)
    turns = {n: _between(a.turns.get(n, still), b.turns.get(n, still), t) for n in names}
    near = a if t < 0.5 else b
    level, lies = a.level + (b.level - a.level) * t, a.lies + (b.lies - a.lies) * t
    return replace(near, level=level, lies=lies, trunk=_between(a.trunk, b.trunk, t), turns=turns)


def _between(a: Turn, b: Turn, t: float) -> Turn:
    return (a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t)


def along(keys: tuple[tuple[float, Pose], ...], t: float) -> Pose:
    """A pose on the way through key poses, with soft stops."""
    for (t0, a), (t1, b) in pairwise(keys):
        if t <= t1:
            s = min(max((t - t0) / (t1 - t0), 0.0), 1.0)
            return blend(a, b, s * s * (3 - 2 * s))
    return keys[-1][1]


def mirrored(pose: Pose) -> Pose:
    """Left for right."""
    swap = {"left": "right", "right": "left"}
    turns = {}
    for name, (roll, pitch, yaw) in pose.turns.items():
        side, _, bone = name.partition("_")
        turns[f"{swap[side]}_{bone}" if side in swap else name] = (-roll, pitch, -yaw)
    roll, pitch, yaw = pose.trunk
    return replace(pose, trunk=(-roll, pitch, -yaw), turns=turns)


def added(pose: Pose, turns: Turns) -> Pose:
    """The pose with some joints turned further."""
    sums = {n: tuple(np.add(pose.turns.get(n, (0, 0, 0)), turn).tolist()) for n, turn in turns.items()}
    return replace(pose, turns={**pose.turns, **sums})


def settle(body: Body, pose: Pose, xy: tuple[float, float], heading: float, size: float = 1.0) -> F64:
    """(B, 4, 4) frames of a body that stands, kneels or lies on the ground z = 0."""
    turns = {name: tuple(np.radians(turn)) for name, turn in pose.turns.items()}

    def framed(lean: float, height: float) -> F64:
        return body.skeleton.frames(turns, _root(pose, xy, heading, size, lean, height))

    lean = 0.0
    for _ in range(ROUNDS if pose.level else 0):
        lean += _slope(body, framed(lean, 0.0), f32((np.cos(heading), np.sin(heading))))
    lean *= pose.level
    height = -_resting(body, body.some(framed(lean, 0.0))[body.firm], pose.lies)
    return _hung(body, framed(lean, height), size)


ROUNDS = 3  # of levelling; each leaves a tenth of the slope or less


def _slope(body: Body, frames: F64, ahead: F32) -> float:
    """How much the fore end's lowest point lies above the hind end's, in rad."""
    points = body.some(frames)[body.firm]
    fore, hind = (points[end][points[end, 2].argmin()] for end in body.ends)
    return float(np.arctan2(fore[2] - hind[2], (fore - hind)[:2] @ ahead))


SINK_M = 0.03  # how deep a lying body presses into the bedding


def _resting(body: Body, points: F32, lies: float) -> float:
    """The height of what the body rests on."""
    lowest = float(points[:, 2].min())
    if lies == 0:
        return lowest
    trunk = points[body.trunk, 2].min() + SINK_M
    return lowest + lies * float(trunk - lowest)


def _root(pose: Pose, xy: tuple[float, float], heading: float, size: float, lean: float, height: float) -> F64:
    roll, pitch, yaw = np.radians(pose.trunk)
    trunk = about(np.array([0, 0, 1.2]), placed((0, 0, 0), (roll, pitch, yaw))[:3, :3])
    root: F64 = placed((*xy, height), (0, lean, heading), size) @ trunk
    return root


def _hung(body: Body, frames: F64, size: float) -> F64:
    """A tail drawn down by its weight, and kept above the ground."""
    joints, index = body.skeleton.joints, [body.skeleton.index[name] for name in body.tail]
    out: F64 = frames.copy()
    change = np.eye(4)
    for n, i in enumerate(index):
        end = joints[index[n + 1]] if n + 1 < len(index) else joints[i] + [0, 0, -0.24]
        frame = change @ frames[i]
        start = frame[:3, :3] @ joints[i] + frame[:3, 3]
        along_m = frame[:3, :3] @ (end - joints[i])
        reach_m = float(np.linalg.norm(along_m))
        wanted = along_m / reach_m * (0.75 - 0.1 * n) + np.array([0, 0, -0.25 - 0.1 * n])
        wanted = _above(wanted / np.linalg.norm(wanted), (0.04 * size - start[2]) / reach_m, along_m)
        change = about(start, _swing(along_m / reach_m, wanted)) @ change
        out[i] = change @ frames[i]
    return out


def _above(direction: F64, lowest: float, spread: F64) -> F64:
    """The direction, not steeper than to end on the ground."""
    if direction[2] >= lowest:
        return direction
    z = min(max(lowest, -1.0), 0.3)
    flat = direction[:2] * 0.2 + spread[:2]
    flat = flat / (np.linalg.norm(flat) + 1e-9) * np.sqrt(1 - z * z)
    return np.array([*flat, z])


def _swing(a: F64, b: F64) -> F64:
    """The smallest rotation that takes unit a to unit b."""
    axis, cosine = np.cross(a, b), float(a @ b)
    k = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    turned: F64 = np.eye(3) + k + k @ k / max(1 + cosine, 1e-6)
    return turned
