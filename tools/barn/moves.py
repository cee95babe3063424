"""The seventeen keypoints of a horse in space, for every behaviour: frames of one cycle, or of one transition.

The bodies and poses are those of the rendered scenes; nothing is rendered here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from edged.frame import F64
from tools.barn.life import TRANSITIONS
from tools.synth import horse, horse_pose, pose
from tools.synth.body import Body
from tools.synth.dice import Dice
from tools.synth.pose import Pose
from tools.synth.subjects import coat

FRAMES = 24
BACK = {
    "neck": (0, 6, 62),
    "crest": (0, 4, 50),
    "poll": (0, 0, 24),
    "head": (0, 6, 20),
}  # degrees: the nose at the flank


@cache
def motion(behaviour: str) -> F64:
    """(F, 17, 3) in m; the horse at the origin, looking along x."""
    body = _body()
    phases = np.linspace(0, 1, FRAMES, endpoint=behaviour in TRANSITIONS)
    poses = map(MADE[behaviour], phases)
    return np.array([body.where("ap10k-17", pose.settle(body, one, (0, 0), 0.0)) for one in poses])


@cache
def _body() -> Body:
    rng = np.random.default_rng(1)
    return horse.build(rng, coat(Dice(rng), dark=False), 0, infrared=False)


def _swaying(degrees: float) -> dict[str, tuple[float, float, float]]:
    return {"neck": (0, 0, degrees), "crest": (0, 0, 0.5 * degrees), "head": (0, 0, 0.3 * degrees)}


def _kicking(degrees: float) -> dict[str, tuple[float, float, float]]:
    legs = ("left_arm", "right_arm", "left_thigh", "right_thigh")
    return {name: (0, degrees if i % 2 else -degrees, 0) for i, name in enumerate(legs)}


MADE: dict[str, Callable[[float], Pose]] = {
    "standing": lambda t: pose.blend(horse_pose.STANDING, horse_pose.ALERT, 0.5 + 0.5 * np.sin(2 * np.pi * t)),
    "dozing": lambda t: pose.blend(horse_pose.DOZING, horse_pose.STANDING, 0.2 * (1 + np.sin(2 * np.pi * t))),
    "feeding": lambda t: pose.blend(horse_pose.FEEDING, horse_pose.STANDING, 0.12 * (1 + np.sin(2 * np.pi * t))),
    "hay": lambda t: pose.blend(horse_pose.NET, horse_pose.STANDING, 0.3 * (1 + np.sin(2 * np.pi * t))),
    "walking": horse_pose.walk,
    "pawing": lambda t: pose.blend(horse_pose.PAWING, horse_pose.PAWED, 0.5 + 0.5 * np.cos(2 * np.pi * t)),
    "flank-look": lambda t: pose.added(horse_pose.STANDING, BACK),
    "weaving": lambda t: pose.added(horse_pose.STANDING, _swaying(28 * np.sin(2 * np.pi * t))),
    "sternal": lambda t: pose.blend(horse_pose.STERNAL, horse_pose.SLEEPING, 0.5 + 0.5 * np.sin(2 * np.pi * t)),
    "lateral": lambda t: pose.blend(horse_pose.LATERAL, horse_pose.STERNAL, 0.04 * (1 + np.sin(2 * np.pi * t))),
    "rolling": horse_pose.rolled,
    "thrashing": lambda t: pose.added(horse_pose.LATERAL, _kicking(40 * np.sin(2 * np.pi * t))),
    "lying-down": lambda t: pose.along(horse_pose.LYING_DOWN, t),
    "rising": lambda t: pose.along(horse_pose.RISING, t),
    "turning-over": lambda t: pose.blend(horse_pose.STERNAL, horse_pose.LATERAL, t),
    "collapsing": lambda t: pose.blend(horse_pose.DOZING, horse_pose.CROUCHED, t),
    "recovering": lambda t: pose.blend(horse_pose.CROUCHED, horse_pose.STANDING, t),
    "buckling": lambda t: pose.blend(horse_pose.DOZING, horse_pose.KNEELING, t),
    "catching": lambda t: pose.blend(horse_pose.KNEELING, horse_pose.STANDING, t),
}
