"""One horse watched: sightings in, and once a second what it did since: seconds of what lasts, counts of what happened.

Upstream: tracks of a pose model. Downstream: the stall's tally, its day and its alerts. Time is CLOCK_MONOTONIC.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from edged.barn import motion
from edged.barn.bouts import Bouts, Kind
from edged.barn.ground import Ground
from edged.barn.measures import Measures, measure
from edged.barn.points import F64, Sighting
from edged.barn.posture import Deciding, Posture, Said, glimpse, on_its_back
from edged.barn.recent import Recent, Window
from edged.barn.ruler import Ruler

Head = Literal["above", "level", "below", "unknown"]
Told = defaultdict[str, float]  # what a time adds: seconds under `<name>-s`, counts under the name alone

FRESH_S = 5.0  # an older sighting says nothing about now
LONGEST_S = 2.0  # between two ticks; beyond, nobody was watching and nothing is added
ABOVE, BELOW = 0.1, -0.45  # of the nose, from the neck, in body lengths
STILL_S = 4.0  # without a movement: nothing is going on
BRIDGE_S = 120.0  # unknown between two postures, over which a change of posture still is one
RISEN, ELSEWHERE, LAY_SLOWLY = 0.12, 0.7, 0.1  # of a trunk that lay there; how its place is learned
RECOVERED, RECOVERY_S = 0.85, 10.0  # of the height before a fall, and how soon
SAME_PLACE = 0.25  # where it comes up again
STAYS_S, AGAIN_S = 3.0, 5.0  # that it stays there; least between two falls
STOOD_S = 3.0  # before a fall, at most; by then it is seen to be down
SHIFT, SHIFT_S = 0.06, 10.0  # of the hips against each other, from their usual: a leg at rest; seen for so long
SLOWLY = 0.05  # how their usual is learned
LOOP_S, LOOPS, ALIKE = (4, 45), 5, 0.6  # box walking: seconds per round, rounds, their likeness
LEAST_ROUTE_S = 60
ROUTE_S = 240  # that rounds are looked for in
BACKS, BACK_S = 4, 3.0  # sightings on its back within so long: one alone may be noise
STIRRED = 0.1  # moved so much: something is going on

BOUTS = (
    Kind("paw", least_s=1, join_s=10),
    Kind("flank-look", least_s=1, join_s=2, most_s=20),
    Kind("roll", least_s=0.4, join_s=20),
    Kind("weave", least_s=5, join_s=20),
    Kind("thrash", least_s=0.8, join_s=5),
)


@dataclass(frozen=True, slots=True, eq=False)
class Fall:
    """When, which leg, how high shoulder or hip was above it before, and where the trunk was."""

    t_s: float
    leg: int
    before: float
    place_px: F64
    up_s: float | None = None  # again


class Horse:
    """`see` for every sighting, `tick` about once a second."""

    def __init__(self, ground: Ground | None = None) -> None:
        """On a `ground` of known size it is measured as if from above."""
        self.ruler = Ruler(ground)
        self.doing: frozenset[str] = frozenset()
        self.head: Head = "unknown"
        self.down_since_s: float | None = None
        self.stirred_s = 0.0  # when it moved last
        self.latest: Sighting | None = None
        self.measures: Measures | None = None
        self._deciding = Deciding()
        self._recent = Recent()
        self._bouts = {kind.name: Bouts(kind) for kind in BOUTS}
        self._ticked_s: float | None = None
        self._lay_px: F64 | None = None  # where its trunk lies
        self._upright: bool | None = None  # before, as far as it was known
        self._upright_s = 0.0
        self._stood_s = -math.inf  # last
        self._fell: Fall | None = None
        self._fell_s = -math.inf  # last
        self._rested = 0  # side of the hip that was lower
        self._level = math.nan  # usual height difference of the hips, as they are seen
        self._backs_s: deque[float] = deque(maxlen=BACKS)  # when it was last seen on its back
        self._route: deque[tuple[float, float, float]] = deque(maxlen=ROUTE_S)

    @property
    def posture(self) -> Posture:
        return self._deciding.now

    def fresh(self, now_s: float) -> bool:
        """Whether it was seen lately."""
        return self.latest is not None and now_s - self.latest.t_s <= FRESH_S

    def see(self, sighting: Sighting) -> None:
        seen = measure(sighting, self.ruler.known)
        self.latest, self.measures = sighting, seen
        self.ruler.see(seen)
        self._recent.add(seen)
        self._deciding.see(seen.t_s, self._said(seen))
        if on_its_back(seen):
            self._backs_s.append(seen.t_s)

    def _said(self, seen: Measures) -> Said:
        """A horse that lay stands only when its trunk rose or is elsewhere: legs towards the camera point down too."""
        said = glimpse(seen, lay=self.down_since_s is not None)
        here_px = np.array(seen.centre) * seen.length_px
        if self.down_since_s is None or np.isnan(here_px[0]) or seen.plan is not None:
            return said
        if said in ("sternal", "lateral"):
            before_px = here_px if self._lay_px is None else self._lay_px
            self._lay_px = before_px + LAY_SLOWLY * (here_px - before_px)
        elif said == "standing" and self._lay_px is not None:
            gone = (here_px - self._lay_px) / seen.length_px
            if abs(gone[0]) < ELSEWHERE and gone[1] > -RISEN:
                return "unknown"
        return said

    def tick(self, now_s: float) -> Told:
        """What the time since the last tick adds; nothing while nobody could have seen it."""
        self._deciding.forget(now_s)
        before_s, self._ticked_s = self._ticked_s, now_s
        passed_s = 0.0 if before_s is None else now_s - before_s
        if not self.fresh(now_s) or not 0 < passed_s <= LONGEST_S:
            self.doing, self.head = frozenset(), "unknown"
            return defaultdict(float)
        told: Told = defaultdict(float)
        self.doing = frozenset(self._behaviours(now_s, told))
        for name in (self.posture, *self.doing, f"head-{self.head}"):
            told[f"{name}-s"] += passed_s
        self._changes(now_s, told)
        return told

    def _behaviours(self, now_s: float, told: Told) -> list[str]:
        """What goes on; bouts that have just ended are counted."""
        window = self._recent.last(motion.WALK_S, now_s)
        self.head = _head(window)
        if _stirred(window):
            self.stirred_s = now_s
        going_on: dict[str, bool | None] = dict.fromkeys(self._bouts, False)
        walks = False
        if now_s - self.stirred_s <= STILL_S:
            self._level = math.nan  # it may stand otherwise now
            walks = bool(motion.walking(window.t_s, window.hooves, window.centre))
            going_on = self._moves(now_s, window, walks=walks)
            self._falls(self._recent.last(motion.FALL_WINDOW_S, now_s), told)
        elif self.posture == "standing":
            self._shifts(self._recent.last(SHIFT_S, now_s), told)
        for name, bouts in self._bouts.items():
            if bouts.tell(now_s, going_on[name]) is not None:
                told[name] += 1
        doing = [name for name, on in going_on.items() if on]
        if walks:
            doing.append("walking")
        if self._paces(now_s, window, walks=walks):
            doing.append("box-walking")
        return doing

    def _moves(self, now_s: float, window: Window, *, walks: bool) -> dict[str, bool | None]:
        """Each behaviour, where its posture allows it."""
        here = self.posture == "standing" and not walks
        lying, paws = self.down_since_s is not None, here and self._paws(now_s)
        return {
            "paw": paws,
            "weave": here and self._weaves(now_s),
            "flank-look": here and not paws and motion.looks_back(window.flank, window.hooves),
            "roll": len(self._backs_s) == BACKS and now_s - self._backs_s[0] < BACK_S,
            "thrash": lying and motion.thrashing(window.t_s, window.hooves),
        }

    def _paws(self, now_s: float) -> bool | None:
        window = self._recent.last(5.0, now_s)
        return motion.pawing(window.t_s, window.hooves)

    def _weaves(self, now_s: float) -> bool | None:
        window = self._recent.last(10.0, now_s)
        if not len(window.t_s) or now_s - window.t_s[0] < 8:
            return None
        return motion.weaving(window.t_s, window.nose, window.hooves)

    def _changes(self, now_s: float, told: Told) -> None:
        """Lying down and rising: between postures that are known, with little unknown between them."""
        if self.posture == "unknown":
            if now_s - self._upright_s > BRIDGE_S:
                self._upright, self.down_since_s, self._lay_px = None, None, None
            return
        upright = self.posture == "standing"
        self._stood_s = now_s if upright else self._stood_s
        if self._upright is not None and upright != self._upright:
            told["rise" if upright else "lie-down"] += 1
        if upright:
            self.down_since_s, self._lay_px = None, None
        elif self.down_since_s is None:
            self.down_since_s = now_s
        self._upright, self._upright_s = upright, now_s

    def _falls(self, window: Window, told: Told) -> None:
        """A fall counts when the horse is soon up again, and where it was: it neither lay down nor walked away."""
        if self._fell is not None:
            self._rises(self._fell, window, told)
            return
        for leg, heights in enumerate(window.legs.T if self.down_since_s is None else ()):
            t_s = motion.fell(window.t_s, heights)
            if t_s is None or t_s - self._fell_s < AGAIN_S or t_s - self._stood_s > STOOD_S:
                continue
            if motion.sank(window.t_s, window.centre, window.trunk, t_s):
                self._fell_s = t_s
                before = window.t_s < t_s - motion.FALL_S / 2
                usual = motion.middle(_last(heights[before]))
                self._fell = Fall(t_s, leg, usual, window.length_px * motion.place(window.centre[before]))
                return

    def _rises(self, fall: Fall, window: Window, told: Told) -> None:
        now_s, since = float(window.t_s[-1]), window.t_s > fall.t_s
        away = float(np.hypot(*(motion.place(window.centre) - fall.place_px / window.length_px)))
        if away > ELSEWHERE or (fall.up_s is None and now_s - fall.t_s > RECOVERY_S):
            self._fell = None
        elif fall.up_s is None and motion.middle(_last(window.legs[since, fall.leg])) > RECOVERED * fall.before:
            self._fell = replace(fall, up_s=now_s)
        elif fall.up_s is not None and now_s - fall.up_s > STAYS_S:
            self._fell = None
            stays = motion.stays(window.centre[window.t_s > fall.up_s + STAYS_S / 3])
            told["collapse"] += stays and away < SAME_PLACE and self.down_since_s is None

    def _shifts(self, window: Window, told: Told) -> None:
        """The hips change sides about their usual place: another hind leg rests."""
        hips = window.hips[~np.isnan(window.hips)]
        if not len(hips):
            return
        now = motion.middle(hips)
        self._level = now if math.isnan(self._level) else self._level + SLOWLY * (now - self._level)
        side = 1 if now > self._level + SHIFT else -1 if now < self._level - SHIFT else 0
        if side and side != self._rested:
            told["weight-shift"] += self._rested != 0
            self._rested = side

    def _paces(self, now_s: float, window: Window, *, walks: bool) -> bool:
        """The same round through the stall, over and over. One place a second is remembered."""
        centre = window.centre[~np.isnan(window.centre[:, 0])]
        if not len(centre) or (self._route and now_s - self._route[-1][0] < 0.9):
            return walks and "box-walking" in self.doing
        x_px, y_px = window.length_px * motion.place(centre)  # its length looks another one elsewhere
        self._route.append((now_s, float(x_px), float(y_px)))
        return walks and rounds(np.array(self._route) / [1, window.length_px, window.length_px]) >= LOOPS


def rounds(route: F64) -> float:
    """How often the path (N, 3) t_s, x, y, one place a second, goes round alike at its end; 0 when it does not."""
    z = route[:, 1] + 1j * route[:, 2]
    if len(z) < LEAST_ROUTE_S or route[-1, 0] - route[0, 0] > 1.5 * len(z):
        return 0.0
    best = 0.0
    for lag in range(LOOP_S[0], min(LOOP_S[1], len(z) // LOOPS) + 1):
        part = z[-max((LOOPS + 1) * lag, LEAST_ROUTE_S) :]
        part = part - part.mean()
        a, b = part[lag:], part[:-lag]
        power = math.sqrt(float((abs(a) ** 2).sum() * (abs(b) ** 2).sum()))
        if power > 0 and float((a * b.conj()).real.sum()) / power > ALIKE and abs(part).mean() > 0.3:
            best = max(best, len(part) / lag)
    return best


def _last(values: F64) -> F64:
    """The last three that were seen."""
    return values[~np.isnan(values)][-3:]


def _head(window: Window) -> Head:
    heads = window.head[~np.isnan(window.head)]
    if not len(heads):
        return "unknown"
    level = motion.middle(heads)
    return "above" if level > ABOVE else "below" if level < BELOW else "level"


def _stirred(window: Window) -> bool:
    """Whether anything moved: the nose, the trunk, a hoof."""
    tracks = (window.nose, window.centre, *(window.hooves[:, i] for i in range(4)))
    known = [track[~np.isnan(track[:, 0])] for track in tracks]
    return any(len(track) > 2 and float(np.hypot(*(track[-1] - track[0]))) > STIRRED for track in known)
