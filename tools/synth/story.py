"""Motion in a clip: the acts of a horse, and a person walking by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tools.synth import horse_pose as h
from tools.synth import person_pose, pose
from tools.synth.body import Body
from tools.synth.pose import Pose
from tools.synth.stage import Actor, Stage
from tools.synth.truth import Truth
from tools.synth.types import U8

SOFTEN_S = 0.7  # from the end of one act into the next
HORSE_MPS, PERSON_MPS = 0.9, 1.15
CHEW_HZ, BREATH_HZ, PAW_HZ = 1.2, 0.25, 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One behaviour and its duration."""

    what: str  # a behaviour: a key of `ACTS`
    seconds: float


def _still(held: Pose) -> Callable[[float, float], Pose]:
    """Idle motion about a pose: breath, a swaying head, ears, a tail."""

    def at(t: float, _: float) -> Pose:
        sway = np.sin(2 * np.pi * t / 5.3) + 0.6 * np.sin(2 * np.pi * t / 2.9 + 1)
        ear = 22 * max(0.0, np.sin(2 * np.pi * t / 3.1)) ** 8
        breath = 0.5 * np.sin(2 * np.pi * BREATH_HZ * t)
        tail = 9 * np.sin(2 * np.pi * t / 1.7) * max(0.0, np.sin(2 * np.pi * t / 6.1)) ** 2
        idle = {"neck": (0, 1.6 * sway, 2.2 * sway), "head": (0, -1.0 * sway, 1.5 * sway), "chest": (0, breath, 0)}
        return pose.added(held, {**idle, "left_ear": (0, -ear, 0), "tail0": (0, 0, tail)})

    return at


def _feeding(t: float, _: float) -> Pose:
    chew = np.sin(2 * np.pi * CHEW_HZ * t)
    return pose.added(_still(h.FEEDING)(t, 0), {"lip": (0, 3 + 3 * chew, 0), "head": (0, 2 * chew, 0)})


def _pawing(t: float, _: float) -> Pose:
    return pose.blend(h.PAWING, h.PAWED, 0.5 - 0.5 * float(np.cos(2 * np.pi * PAW_HZ * t)))


def _on_side(t: float, share: float) -> Pose:
    """Down from the breastbone first, then still."""
    return pose.blend(h.STERNAL, _still(h.LATERAL)(t, 0), min(share * 4, 1.0))


# By behaviour: the pose after t seconds, a share of the act.
ACTS: dict[str, Callable[[float, float], Pose]] = {
    "standing": _still(h.STANDING),
    "alert": _still(h.ALERT),
    "dozing": _still(h.DOZING),
    "walking": lambda t, _: h.walk(t * HORSE_MPS / h.WALK_STRIDE_M),
    "feeding": _feeding,
    "pawing": _pawing,
    "lying down": lambda _, share: pose.along(h.LYING_DOWN, share),
    "sternal": _still(h.STERNAL),
    "sleeping": _still(h.SLEEPING),
    "lateral": _on_side,
    "rolling": lambda _, share: h.rolled(share),
    "rising": lambda _, share: pose.along(h.RISING, share),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Horse:
    """A horse with a programme."""

    body: Body
    acts: Sequence[Act]
    start_xy: tuple[float, float]
    heading: float  # rad, 0 along x
    size: float = 1.0

    def at(self, t_s: float, number: int) -> Actor:
        began, walked_m, before = 0.0, 0.0, None
        for act in self.acts:
            inside = min(t_s - began, act.seconds)
            walked_m += inside * HORSE_MPS if act.what == "walking" else 0.0
            if t_s <= began + act.seconds or act is self.acts[-1]:
                break
            began, before = began + act.seconds, act
        held = self._pose(act, inside, before)
        x, y = self.start_xy
        xy = (x + walked_m * float(np.cos(self.heading)), y + walked_m * float(np.sin(self.heading)))
        frames = pose.settle(self.body, held, xy, self.heading, self.size)
        return Actor(body=self.body, frames=frames, behaviour=held.behaviour, number=number)

    def _pose(self, act: Act, t_s: float, before: Act | None) -> Pose:
        now = ACTS[act.what](t_s, t_s / act.seconds)
        if before is None or t_s >= SOFTEN_S:
            return now
        last = ACTS[before.what](before.seconds + t_s, 1.0)
        share = t_s / SOFTEN_S
        mixed = pose.blend(last, now, share * share * (3 - 2 * share))
        return replace(mixed, behaviour=now.behaviour)


@dataclass(frozen=True, kw_only=True, eq=False)
class Walker:
    """A person who walks straight ahead in a time span."""

    body: Body
    start_xy: tuple[float, float]
    heading: float
    from_s: float
    until_s: float
    size: float = 1.0

    def at(self, t_s: float, number: int) -> Actor | None:
        if not self.from_s <= t_s <= self.until_s:
            return None
        gone_m = (t_s - self.from_s) * PERSON_MPS
        held = person_pose.walk(gone_m / (person_pose.STRIDE_M * self.size))
        x, y = self.start_xy
        xy = (x + gone_m * float(np.cos(self.heading)), y + gone_m * float(np.sin(self.heading)))
        frames = pose.settle(self.body, held, xy, self.heading, self.size)
        return Actor(body=self.body, frames=frames, behaviour=held.behaviour, number=number)


def play(
    stage: Stage, horse: Horse, walker: Walker | None, seconds: float, fps: int
) -> Iterator[tuple[U8, list[Truth]]]:
    """Yield every frame of a clip, and its subjects: 1 is the horse, 2 the person."""
    rng = np.random.default_rng(round(seconds * fps))
    for frame in range(round(seconds * fps)):
        t_s = frame / fps
        passing = walker.at(t_s, 2) if walker else None
        yield stage.render([horse.at(t_s, 1), *([passing] if passing else [])], rng)
