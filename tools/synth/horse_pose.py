"""How a horse holds itself: key poses in degrees, and the walk.

Pitch lowers what points forward: a leg goes back, a head goes down. Roll is towards the right, yaw to the left.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tools.synth.pose import Pose, Turns, added, blend


def _pitch(**degrees: float) -> dict[str, tuple[float, float, float]]:
    return {name: (0.0, angle, 0.0) for name, angle in degrees.items()}


def _fore(
    side: str,
    shoulder: float,
    arm: float,
    forearm: float,
    cannon: float,
    pastern: float,
    hoof: float = 0,
    out: float = 0,
) -> Turns:
    roll = out if side == "left" else -out
    return {
        f"{side}_shoulder": (0, shoulder, 0),
        f"{side}_arm": (roll, arm, 0),
        f"{side}_forearm": (0, forearm, 0),
        f"{side}_cannon": (0, cannon, 0),
        f"{side}_pastern": (0, pastern, 0),
        f"{side}_hoof": (0, hoof, 0),
    }


def _hind(
    side: str, thigh: float, gaskin: float, cannon: float, pastern: float, hoof: float = 0, out: float = 0
) -> Turns:
    roll = out if side == "left" else -out
    return {
        f"{side}_thigh": (roll, thigh, 0),
        f"{side}_gaskin": (0, gaskin, 0),
        f"{side}_hind_cannon": (0, cannon, 0),
        f"{side}_hind_pastern": (0, pastern, 0),
        f"{side}_hind_hoof": (0, hoof, 0),
    }


def _neck(base: float, middle: float, top: float, head: float, yaw: float = 0) -> Turns:
    return {
        "neck": (0, base, 0.5 * yaw),
        "crest": (0, middle, 0.3 * yaw),
        "poll": (0, top, 0.2 * yaw),
        "head": (0, head, 0.2 * yaw),
    }


STANDING = Pose(behaviour="standing", turns={**_neck(4, 2, 0, 0)})
ALERT = Pose(behaviour="standing", turns={**_neck(-14, -8, 4, 14)})
DOZING = Pose(
    behaviour="standing",
    turns={**_neck(24, 6, 0, -10), **_hind("left", -16, 34, -26, 34, 20), **_pitch(left_ear=-25, right_ear=-25)},
)
FEEDING = Pose(
    behaviour="feeding",
    turns={**_neck(84, 16, 4, -34), **_fore("left", -3, -4, -10, 0, 4), **_fore("right", 2, 3, 8, 0, 2)},
)
NET = Pose(behaviour="feeding", turns={**_neck(10, 4, -4, -28)})
PAWING = Pose(
    behaviour="pawing",
    turns={**_neck(30, 8, 4, 0), **_fore("left", -12, -18, -42, 62, 40, 20)},
)
PAWED = Pose(behaviour="pawing", turns={**_neck(36, 10, 4, -2), **_fore("left", 4, 8, 22, 10, 20, 10)})
STERNAL = Pose(
    behaviour="sternal",
    trunk=(-16, 0, 0),
    level=0.0,
    lies=1.0,
    turns={
        **_neck(-4, -4, 4, 8, 6),
        **_fore("left", 4, 14, -100, 158, 30, 20, 4),
        **_fore("right", 4, 10, -98, 160, 30, 20, 10),
        **_hind("left", -42, 68, -116, 30, 10, 16),
        **_hind("right", -44, 66, -116, 30, 10, 26),
    },
)
SLEEPING = replace(STERNAL, turns={**STERNAL.turns, **_neck(34, 22, 16, 6, 18)})
LATERAL = Pose(
    behaviour="lateral",
    trunk=(-86, 0, 0),
    level=0.0,
    lies=0.6,
    turns={
        "neck": (0, 14, 16),
        "crest": (0, 4, 8),
        "head": (0, -10, 4),
        **_fore("left", -4, -8, -22, 26, 10, 0, 6),
        **_fore("right", 0, 0, -12, 34, 14),
        **_hind("left", -6, 8, -4, 10, 0, 5),
        **_hind("right", 0, 6, 4, 8),
    },
)
ON_BACK = Pose(
    behaviour="rolling",
    trunk=(-168, 0, 0),
    level=0.0,
    turns={
        "neck": (0, 34, -6),
        "crest": (0, 10, -6),
        "head": (0, -34, 0),
        **_fore("left", 0, 10, -50, 105, 30, 10, 10),
        **_fore("right", 0, 4, -64, 120, 30, 10, 10),
        **_hind("left", -22, 60, -70, 30, 0, 18),
        **_hind("right", -10, 44, -56, 24, 0, 18),
    },
)
KNEELING = Pose(
    behaviour="lying down",
    turns={
        **_neck(26, 4, 0, 4),
        **_fore("left", 4, 10, -40, 112, 30, 20),
        **_fore("right", 2, 8, -48, 118, 30, 20),
        **_hind("left", -30, 30, -18, 18, 8),
        **_hind("right", -24, 22, -10, 14, 8),
    },
)
CROUCHED = Pose(
    behaviour="lying down",
    trunk=(-6, 0, 0),
    turns={
        **_neck(16, 2, 0, 4),
        **_fore("left", 5, 20, -70, 130, 30, 20, 8),
        **_fore("right", 4, 18, -82, 140, 30, 20, 4),
        **_hind("left", -44, 64, -66, 34, 10, 10),
        **_hind("right", -40, 60, -60, 34, 10),
    },
)
BUNCHED = Pose(
    behaviour="lying down",
    turns={
        **_neck(44, 16, 8, -6),
        **_fore("left", 2, 6, -8, 26, 8, 4),
        **_fore("right", 2, 4, -4, 18, 6, 4),
        **_hind("left", -24, 26, -16, 14, 4),
        **_hind("right", -20, 22, -12, 12, 4),
    },
)
PROPPED = Pose(
    behaviour="rising",
    trunk=(-6, -16, 0),
    turns={
        **_neck(-12, -6, 4, 10),
        **_fore("left", -8, -14, -22, 4, 12),
        **_fore("right", -6, -8, -12, 6, 14),
        **_hind("left", -38, 80, -112, 30, 10, 14),
        **_hind("right", -40, 78, -112, 30, 10),
    },
)
PUSHING = Pose(
    behaviour="rising",
    trunk=(0, -20, 0),
    turns={
        **_neck(6, 6, 4, 0),
        **_fore("left", -7, -10, -14, 0, 8),
        **_fore("right", -5, -6, -8, 2, 8),
        **_hind("left", -34, 48, -48, 24, 6, 6),
        **_hind("right", -38, 52, -50, 26, 6),
    },
)

LYING_DOWN = ((0.0, STANDING), (0.22, BUNCHED), (0.5, KNEELING), (0.74, CROUCHED), (1.0, STERNAL))
RISING = ((0.0, STERNAL), (0.38, PROPPED), (0.7, PUSHING), (1.0, STANDING))


def rolled(t: float) -> Pose:
    """A roll: from the side over the back and half down again, legs in the air; `t` from 0 to 1."""
    over = np.sin(np.pi * t)
    held = blend(LATERAL, ON_BACK, float(over))
    kick = 14 * np.sin(6 * np.pi * t) * over
    waved = added(held, _pitch(left_forearm=kick, right_forearm=-kick, left_thigh=-0.6 * kick, right_thigh=0.6 * kick))
    return replace(waved, behaviour="rolling")


WALK_STRIDE_M = 1.75
_FEET = (("left", "hind", 0.0), ("left", "fore", 0.25), ("right", "hind", 0.5), ("right", "fore", 0.75))


def walk(phase: float) -> Pose:
    """The four-beat walk at a phase in strides; the neck nods twice a stride."""
    turns: dict[str, tuple[float, float, float]] = {}
    for side, end, offset in _FEET:
        reach, lift = _step((phase - offset) % 1.0)
        if end == "fore":
            turns.update(_fore(side, -8 * reach, -5 * reach, -12 * reach - 26 * lift, 52 * lift, 38 * lift, 10 * lift))
        else:
            thigh = -17 * reach - 12 * lift
            turns.update(_hind(side, thigh, 6 * reach + 34 * lift, -8 * reach - 34 * lift, 2 + 36 * lift, 10 * lift))
    nod = 4 * np.sin(4 * np.pi * (phase + 0.1))
    sway = 2.0 * np.sin(2 * np.pi * phase)
    turns |= {
        **_neck(12 + nod, 4, 2, -4 - 0.6 * nod, sway),
        "pelvis": (0.8 * sway, 0, 0.8 * sway),
        "tail0": (0, 0, 3 * sway),
    }
    return Pose(behaviour="walking", turns=turns)


_STANCE = 0.62  # share of the stride that a hoof stands


def _step(phase: float) -> tuple[float, float]:
    """Where the leg is, 1 forward to -1 back, and how far it is lifted."""
    if phase < _STANCE:
        return 1 - 2 * phase / _STANCE, 0.0
    s = (phase - _STANCE) / (1 - _STANCE)
    return -float(np.cos(np.pi * s)), float(np.sin(np.pi * min(s * 1.15, 1.0)) ** 1.2)
