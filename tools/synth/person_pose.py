"""How a person holds herself: key poses in degrees and the walk.

Arms are spread at rest: roll lowers them, yaw bends elbows forward. A positive pitch leans forward and draws legs back.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tools.synth.pose import Pose, Turns, added


def arm(side: str, lower: float, forward: float = 0, bend: float = 8, turn: float = 0) -> Turns:
    """`lower` from spread (0) to hanging (80) or raised (-80); `forward` swings; `bend` of the elbow; `turn` inward."""
    sign = -1.0 if side == "left" else 1.0
    return {f"{side}_arm": (sign * lower, -forward, sign * turn), f"{side}_forearm": (0, 0, sign * bend)}


def leg(side: str, forward: float, knee: float = 4, out: float = 2, foot: float = 0) -> Turns:
    sign = 1.0 if side == "left" else -1.0
    return {f"{side}_thigh": (sign * out, -forward, 0), f"{side}_calf": (0, knee, 0), f"{side}_foot": (0, foot, 0)}


def _both_arms(lower: float, forward: float = 0, bend: float = 8, turn: float = 0) -> Turns:
    return {**arm("left", lower, forward, bend, turn), **arm("right", lower, forward, bend, turn)}


def _both_legs(forward: float, knee: float = 4, out: float = 2, foot: float = 0) -> Turns:
    return {**leg("left", forward, knee, out, foot), **leg("right", forward, knee, out, foot)}


def _stoop(hips: float, waist: float, chest: float, head: float = 0) -> Turns:
    return {
        "hips": (0, hips, 0),
        "waist": (0, waist, 0),
        "chest": (0, chest, 0),
        "neck": (0, 0.5 * head, 0),
        "head": (0, 0.5 * head, 0),
    }


_HANGING = _both_arms(76, 4, 14)
_STAND = {**_HANGING, **_both_legs(0), **_stoop(0, 2, 0, 4)}


def _pose(behaviour: str, *turns: Turns) -> Pose:
    return Pose(behaviour=behaviour, level=0.0, turns={k: v for part in (_STAND, *turns) for k, v in part.items()})


STANDING = _pose("standing")
RELAXED = _pose("standing", leg("left", 10, 14, 5), leg("right", -3, 2, 3), {"waist": (4, 2, 6), "head": (0, 8, -16)})
AKIMBO = _pose("standing", _both_arms(48, -18, 95), _both_legs(0, 3, 8))
FOLDED = _pose("standing", _both_arms(72, 26, 105, 10))
PHONE = _pose("standing", _both_arms(72, 22, 100, 10), _stoop(0, 4, 6, 34))
ARMS_UP = _pose("arms raised", _both_arms(-68, 6, 12))
ONE_UP = _pose("arms raised", arm("left", -60, 10, 20))
SPREAD = _pose("arms raised", _both_arms(4, 0, 8), _both_legs(0, 3, 10))
REACHING = _pose("reaching", arm("right", 74, 84, 10), _stoop(0, 8, 8, -4), leg("left", 16, 10), leg("right", -12, 6))
REACHING_UP = _pose("reaching", arm("right", 70, 140, 12), arm("left", 70, 40, 60), _stoop(0, -4, -4, -18))
GROOMING = _pose(
    "reaching", arm("right", 74, 78, 40), arm("left", 60, 50, 40), _stoop(4, 10, 8, 6), leg("left", 14, 14, 6)
)
BENDING = _pose(
    "bending",
    {"waist": (0, 28, 0), "chest": (0, 24, 0)},
    _stoop(38, 26, 20, 10),
    _both_legs(40, 10, 4),
    _both_arms(82, 88, 10),
)
PICKING = _pose("bending", _stoop(34, 30, 22, 6), _both_legs(66, 58, 6, -24), _both_arms(80, 92, 14))
SWEEPING = _pose(
    "bending",
    _stoop(14, 14, 10, 14),
    _both_legs(18, 14, 6),
    arm("left", 66, 42, 40, 14),
    arm("right", 70, 60, 20, 20),
)
SQUATTING = _pose("squatting", _stoop(20, 16, 10, 2), _both_legs(124, 128, 12, -22), _both_arms(70, 66, 40))
KNEELING = _pose(
    "kneeling", _stoop(6, 10, 8, 12), leg("left", 88, 92, 6), leg("right", 2, 96, 4, 40), _both_arms(74, 40, 50)
)
SITTING = _pose("sitting", _stoop(-4, 6, 4, 6), _both_legs(86, 84, 6, 0), _both_arms(72, 30, 50))
SLUMPED = _pose("sitting", _stoop(12, 20, 12, 18), _both_legs(90, 80, 14, 0), _both_arms(68, 50, 60))
STRETCHED = _pose(
    "sitting", _stoop(-8, 10, 10, 6), leg("left", 86, 6, 12), leg("right", 82, 16, 8), _both_arms(70, 40, 30)
)
ASTRIDE = _pose("sitting", _stoop(-4, 12, 12, 8), _both_legs(100, 116, 42), _both_arms(68, 40, 50))
KNEES_UP = _pose("sitting", _stoop(4, 16, 14, 4), _both_legs(122, 104, 10), _both_arms(74, 64, 30))
LEANING_BACK = _pose(
    "sitting", _stoop(-24, -4, 6, 14), leg("left", 70, 10, 10), leg("right", 92, 62, 8), _both_arms(62, -46, 6)
)
ON_HEELS = _pose("kneeling", _stoop(4, 6, 6, 10), _both_legs(64, 148, 10, 40), _both_arms(74, 34, 40))
PUSHING = _pose(
    "walking", _stoop(14, 10, 6, -10), _both_arms(70, 62, 30), leg("left", 26, 14), leg("right", -22, 16, 2, 10)
)
RUNNING = _pose(
    "walking",
    _stoop(10, 6, 4),
    arm("left", 70, -42, 80),
    arm("right", 70, 40, 84),
    leg("left", 46, 52),
    leg("right", -26, 44, 2, 24),
)

POSES = (
    *(STANDING, RELAXED, AKIMBO, FOLDED, PHONE, ARMS_UP, ONE_UP, SPREAD, REACHING, REACHING_UP, GROOMING),
    *(BENDING, PICKING, SWEEPING, SQUATTING, KNEELING, SITTING, SLUMPED, PUSHING, RUNNING),
    *(STRETCHED, ASTRIDE, KNEES_UP, LEANING_BACK, ON_HEELS),
)
STRIDE_M = 1.42


def walk(phase: float, *, arms: bool = True) -> Pose:
    """A brisk walk at a phase in strides; without arms they stay as they hang."""
    turns: dict[str, tuple[float, float, float]] = {}
    for side, offset in (("left", 0.0), ("right", 0.5)):
        swing = np.cos(2 * np.pi * (phase - offset))
        lift = max(0.0, -np.sin(2 * np.pi * (phase - offset))) ** 1.5
        turns.update(leg(side, 4 + 22 * swing + 8 * lift, 6 + 50 * lift, 1, -8 * max(swing, 0) + 14 * max(-swing, 0)))
        if arms:
            turns.update(arm(side, 76, -22 * swing, 18 + 8 * max(-swing, 0)))
    twist = 5 * np.cos(2 * np.pi * phase)
    turns |= {"hips": (0, 3, -twist), "chest": (0, 2, 1.8 * twist)}
    return replace(added(STANDING, {}), behaviour="walking", turns={**STANDING.turns, **turns})
