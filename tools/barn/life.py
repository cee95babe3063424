"""A horse's day as a list of acts, and the troubles it may have. Source of the numbers: behaviour/horse/README.md.

Times are seconds since local midnight. Positions are metres in a stall of 4 x 4 m, its middle at the origin.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

CIRCLE_M, PACE_M_S = 0.7, 0.9  # how a horse walks in a stall
DAY_S, HOUR_S, MIN_S = 86_400.0, 3_600.0, 60.0
FEEDS_S = (6.5 * HOUR_S, 17 * HOUR_S)
TRANSITION_S = {
    "lying-down": 7.0,
    "rising": 5.0,
    "turning-over": 4.0,
    "rolling": 5.0,
    "collapsing": 0.7,  # onto the knees, hind legs half folded too
    "recovering": 2.0,
    "buckling": 0.7,  # the forelegs alone
    "catching": 2.0,
}
BUSY = frozenset({"pawing", "weaving", "walking", "flank-look", "rolling", "thrashing", *TRANSITION_S})
CYCLE_HZ = {"pawing": 1.4, "weaving": 0.5, "walking": 0.75, "thrashing": 1.6}
POSTURE = {"sternal": "sternal", "lateral": "lateral", "thrashing": "lateral", "rolling": "lateral"}
FALLS = (("collapsing", "recovering"), ("buckling", "catching"))
TRANSITIONS = frozenset(
    {"lying-down", "rising", "turning-over", *FALLS[0], *FALLS[1]}
)  # neither one posture nor the other


def on_circle(heading: float) -> tuple[float, float]:
    """The position of a horse that walks round the stall with this heading."""
    return CIRCLE_M * math.sin(heading), -CIRCLE_M * math.cos(heading)


@dataclass(frozen=True, slots=True)
class Act:
    """One behaviour at one position; walking goes round the stall."""

    kind: str
    begin_s: float
    seconds: float
    position: tuple[float, float] = (0.0, 0.0)
    heading: float = 0.0  # rad

    @property
    def posture(self) -> str:
        return "between" if self.kind in TRANSITIONS else POSTURE.get(self.kind, "standing")


@dataclass(slots=True)
class DayBuilder:
    """Appends acts, one after the other."""

    rng: np.random.Generator
    acts: list[Act] = field(default_factory=list)
    now_s: float = 0.0
    position: tuple[float, float] = (0.0, 0.0)
    heading: float = 0.0

    def do(self, kind: str, seconds: float | None = None) -> None:
        lasts_s = TRANSITION_S[kind] if seconds is None else seconds
        self.acts.append(Act(kind, self.now_s, lasts_s, self.position, self.heading))
        self.now_s += lasts_s

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def walk(self, seconds: float) -> None:
        """Walk round the middle of the stall."""
        self.do("walking", seconds)
        self.heading += seconds * PACE_M_S / CIRCLE_M
        self.position = on_circle(self.heading)

    def lie(self, seconds: float, lateral_s: float = 0.0) -> None:
        """Lie down, lie sternal with `lateral_s` lateral in the middle, and rise."""
        self.do("lying-down")
        self.do("sternal", (seconds - lateral_s) / 2)
        if lateral_s:
            self.do("turning-over")
            self.do("lateral", lateral_s)
        self.do("sternal", (seconds - lateral_s) / 2)
        self.do("rising")

    def roll(self, times: int = 2) -> None:
        self.do("lying-down")
        for _ in range(times):
            self.do("rolling")
            self.do("sternal", self.between(4, 8))
        self.do("rising")

    def paw(self, seconds: float) -> None:
        self.do("pawing", seconds)
        self.do("standing", self.between(12, 20))

    def look_back(self) -> None:
        self.do("flank-look", self.between(2, 8))
        self.do("standing", self.between(8, 20))

    def sink(self) -> None:
        for part in FALLS[int(self.rng.integers(0, len(FALLS)))]:
            self.do(part)

    def sway(self, seconds: float) -> None:
        self.do("weaving", seconds)
        self.do("standing", self.between(25, 40))

    def idle(self, until_s: float) -> None:
        """Eat hay, doze, stand and walk a little."""
        while self.now_s < until_s:
            kind = str(self.rng.choice(["hay", "feeding", "dozing", "standing"], p=[0.25, 0.25, 0.3, 0.2]))
            self.do(kind, min(self.between(3, 20) * MIN_S, max(until_s - self.now_s, 1)))
            if self.rng.random() < 0.7:
                self.walk(self.between(8, 25))
            if self.rng.random() < 0.03:
                self.look_back()


def day(rng: np.random.Generator, trouble: str | None = None) -> list[Act]:
    """24 h of acts. `trouble` is one of `TROUBLES`, at a random hour."""
    heading = float(rng.uniform(-math.pi, math.pi))
    life = DayBuilder(rng, position=on_circle(heading), heading=heading)
    plan: list[tuple[float, Callable[[DayBuilder], None]]] = [(feed_s, _fed) for feed_s in FEEDS_S]
    if trouble != "collapse":  # a horse that does not lie down falls asleep on its feet
        plan += [(float(at_s), _slept) for at_s in _nights(rng)]
    if rng.random() < 0.4:
        plan.append((life.between(8, 16) * HOUR_S, lambda own: own.roll(int(own.rng.integers(1, 3)))))
    if trouble is not None:
        plan.append((life.between(1, 22) * HOUR_S, TROUBLES[trouble]))
    for begin_s, happens in sorted(plan, key=lambda one: one[0]):
        life.idle(begin_s)
        happens(life)
    life.idle(DAY_S)
    return life.acts


def crowded(rng: np.random.Generator) -> list[Act]:
    """Four hours in which every behaviour occurs several times."""
    heading = float(rng.uniform(-math.pi, math.pi))
    life = DayBuilder(rng, position=on_circle(heading), heading=heading)
    life.do("standing", MIN_S)
    for happens in rng.permutation(
        np.array([*[_slept] * 6, *[_looked] * 4, *[_sank] * 3, _paws, _rolled, _rolled, _swayed])
    ):
        for _ in range(2):
            life.do(str(rng.choice(["hay", "feeding", "dozing", "standing"])), life.between(40, 120))
            life.walk(life.between(6, 20))
        life.do("standing", life.between(10, 30))
        happens(life)
        life.do("standing", life.between(20, 40))
    cast(life)
    life.idle(life.now_s + 10 * MIN_S)
    return life.acts


def _looked(life: DayBuilder) -> None:
    for _ in range(3):
        life.look_back()


def _sank(life: DayBuilder) -> None:
    for _ in range(2):
        life.do("dozing", life.between(30, 60))
        life.sink()


def _paws(life: DayBuilder) -> None:
    life.paw(life.between(4, 10))


def _rolled(life: DayBuilder) -> None:
    life.roll(int(life.rng.integers(1, 4)))


def _swayed(life: DayBuilder) -> None:
    life.sway(life.between(20, 40))


def _nights(rng: np.random.Generator) -> NDArray[np.float64]:
    """Times in s at which it lies down: two to five between 21:00 and 05:00."""
    early = rng.uniform(0.2, 4.6, int(rng.integers(2, 4)))
    late = rng.uniform(21, 23.2, int(rng.integers(0, 3)))
    return np.sort(np.concatenate([early, late])) * HOUR_S


def _fed(life: DayBuilder) -> None:
    """Paws before feed comes, and eats."""
    for _ in range(int(life.rng.integers(0, 4))):
        life.paw(life.between(3, 8))
    if life.rng.random() < 0.2:
        life.sway(life.between(20, 60))
    life.do("feeding", life.between(40, 80) * MIN_S)


def _slept(life: DayBuilder) -> None:
    seconds = life.between(12, 40) * MIN_S
    life.lie(seconds, life.between(3, 10) * MIN_S if life.rng.random() < 0.6 else 0.0)


def colic(life: DayBuilder) -> None:
    """Up and down, rolling, pawing and looking back, for most of an hour."""
    for _ in range(int(life.rng.integers(4, 7))):
        for _ in range(int(life.rng.integers(1, 3))):
            life.paw(life.between(4, 10))
            life.look_back()
        life.roll(int(life.rng.integers(1, 4)))
        life.do("standing", life.between(60, 200))


def cast(life: DayBuilder) -> None:
    """Lies on its side against the wall, thrashes, and cannot rise for half an hour."""
    before = life.position, life.heading
    life.now_s += 30  # a gap: how it came to the wall was not observed
    life.position, life.heading = (0.0, 1.15), 0.0
    life.do("lying-down")
    life.do("turning-over")
    until_s = life.now_s + life.between(15, 30) * MIN_S
    while life.now_s < until_s:
        life.do("thrashing", life.between(4, 10))
        life.do("lateral", life.between(20, 70))
    life.do("sternal", 30)
    life.do("rising")
    life.now_s += 30
    life.position, life.heading = before


def foaling(life: DayBuilder) -> None:
    for _ in range(5):
        life.walk(life.between(30, 90))
        life.lie(life.between(3, 7) * MIN_S, life.between(1, 2) * MIN_S)
        life.look_back()


def collapse(life: DayBuilder) -> None:
    """Sleeps standing until its knees give way, again and again."""
    for _ in range(4):
        life.do("dozing", life.between(3, 8) * MIN_S)
        life.sink()


def too_long(life: DayBuilder) -> None:
    life.lie(life.between(130, 170) * MIN_S, life.between(25, 60) * MIN_S)


def box_walking(life: DayBuilder) -> None:
    life.walk(life.between(8, 15) * MIN_S)


TROUBLES = {
    "colic": colic,
    "cast": cast,
    "foaling": foaling,
    "collapse": collapse,
    "too-long": too_long,
    "box-walking": box_walking,
}
