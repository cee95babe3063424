"""One horse watched: sightings in, and once a second what it did since: seconds of what lasts, counts of what happened.

Upstream: tracks of a pose model. Downstream: the stall's tally, its day and its alerts. Time is CLOCK_MONOTONIC.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from edged.behaviour.horse import behaviours
from edged.behaviour.horse.body_size import BodySizeEstimator
from edged.behaviour.horse.bouts import BoutDetector, BoutRule
from edged.behaviour.horse.features import PoseFeatures, extract_features
from edged.behaviour.horse.ground_plane import GroundPlane
from edged.behaviour.horse.points import KeypointObservation
from edged.behaviour.horse.posture import Posture, PostureFilter, PostureLabel, classify_posture, is_on_back
from edged.behaviour.horse.recent import FeatureHistory, FeatureWindow
from edged.frame import F64

HeadHeight = Literal["above", "level", "below", "unknown"]
Increments = defaultdict[str, float]  # what a time adds: seconds under `<name>-s`, counts under the name alone

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
    BoutRule("paw", min_s=1, merge_gap_s=10),
    BoutRule("flank-look", min_s=1, merge_gap_s=2, max_s=20),
    BoutRule("roll", min_s=0.4, merge_gap_s=20),
    BoutRule("weave", min_s=5, merge_gap_s=20),
    BoutRule("thrash", min_s=0.8, merge_gap_s=5),
)


@dataclass(frozen=True, slots=True, eq=False)
class Fall:
    """When, which leg, how high shoulder or hip was above it before, and where the trunk was."""

    t_s: float
    leg: int
    height_before: float
    trunk_px: F64
    recovered_s: float | None = None  # again


class HorseState:
    """`see` for every sighting, `tick` about once a second."""

    def __init__(self, ground: GroundPlane | None = None) -> None:
        """On a `ground` of known size it is measured as if from above."""
        self.body_size = BodySizeEstimator(ground)
        self.behaviours: frozenset[str] = frozenset()
        self.head_height: HeadHeight = "unknown"
        self.lying_since_s: float | None = None
        self.last_moved_s = 0.0  # when it moved last
        self.latest: KeypointObservation | None = None
        self.features: PoseFeatures | None = None
        self._posture_filter = PostureFilter()
        self._history = FeatureHistory()
        self._bouts = {kind.name: BoutDetector(kind) for kind in BOUTS}
        self._last_tick_s: float | None = None
        self._lying_trunk_px: F64 | None = None  # where its trunk lies
        self._was_upright: bool | None = None  # before, as far as it was known
        self._posture_known_s = 0.0
        self._last_standing_s = -math.inf  # last
        self._fall: Fall | None = None
        self._last_fall_s = -math.inf  # last
        self._lower_hip_side = 0  # side of the hip that was lower
        self._hip_baseline = math.nan  # usual height difference of the hips, as they are seen
        self._on_back_s: deque[float] = deque(maxlen=BACKS)  # when it was last seen on its back
        self._route: deque[tuple[float, float, float]] = deque(maxlen=ROUTE_S)

    @property
    def posture(self) -> Posture:
        return self._posture_filter.posture

    def is_visible(self, now_s: float) -> bool:
        """Whether it was seen lately."""
        return self.latest is not None and now_s - self.latest.t_s <= FRESH_S

    def update(self, observation: KeypointObservation) -> None:
        seen = extract_features(observation, self.body_size.size)
        self.latest, self.features = observation, seen
        self.body_size.update(seen)
        self._history.add(seen)
        self._posture_filter.update(seen.t_s, self._posture_label(seen))
        if is_on_back(seen):
            self._on_back_s.append(seen.t_s)

    def _posture_label(self, features: PoseFeatures) -> PostureLabel:
        """A horse that lay stands only when its trunk rose or is elsewhere: legs towards the camera point down too."""
        said = classify_posture(features, was_lying=self.lying_since_s is not None)
        here_px = np.array(features.trunk_centre) * features.body_length_px
        if self.lying_since_s is None or np.isnan(here_px[0]) or features.ground is not None:
            return said
        if said in ("sternal", "lateral"):
            before_px = here_px if self._lying_trunk_px is None else self._lying_trunk_px
            self._lying_trunk_px = before_px + LAY_SLOWLY * (here_px - before_px)
        elif said == "standing" and self._lying_trunk_px is not None:
            gone = (here_px - self._lying_trunk_px) / features.body_length_px
            if abs(gone[0]) < ELSEWHERE and gone[1] > -RISEN:
                return "unknown"
        return said

    def tick(self, now_s: float) -> Increments:
        """What the time since the last tick adds; nothing while nobody could have seen it."""
        self._posture_filter.expire(now_s)
        before_s, self._last_tick_s = self._last_tick_s, now_s
        passed_s = 0.0 if before_s is None else now_s - before_s
        if not self.is_visible(now_s) or not 0 < passed_s <= LONGEST_S:
            self.behaviours, self.head_height = frozenset(), "unknown"
            return defaultdict(float)
        told: Increments = defaultdict(float)
        self.behaviours = frozenset(self._update_behaviours(now_s, told))
        for name in (self.posture, *self.behaviours, f"head-{self.head_height}"):
            told[f"{name}-s"] += passed_s
        self._count_posture_changes(now_s, told)
        return told

    def _update_behaviours(self, now_s: float, increments: Increments) -> list[str]:
        """What goes on; bouts that have just ended are counted."""
        window = self._history.last(behaviours.WALK_S, now_s)
        self.head_height = _head_height(window)
        if _has_moved(window):
            self.last_moved_s = now_s
        going_on: dict[str, bool | None] = dict.fromkeys(self._bouts, False)
        walks = False
        if now_s - self.last_moved_s <= STILL_S:
            self._hip_baseline = math.nan  # it may stand otherwise now
            walks = bool(behaviours.walking(window.t_s, window.hooves, window.trunk_centre))
            going_on = self._detect_behaviours(now_s, window, walks=walks)
            self._detect_fall(self._history.last(behaviours.FALL_WINDOW_S, now_s), increments)
        elif self.posture == "standing":
            self._count_weight_shifts(self._history.last(SHIFT_S, now_s), increments)
        for name, bouts in self._bouts.items():
            if bouts.update(now_s, going_on[name]) is not None:
                increments[name] += 1
        doing = [name for name, on in going_on.items() if on]
        if walks:
            doing.append("walking")
        if self._is_box_walking(now_s, window, walks=walks):
            doing.append("box-walking")
        return doing

    def _detect_behaviours(self, now_s: float, window: FeatureWindow, *, walks: bool) -> dict[str, bool | None]:
        """Each behaviour, where its posture allows it."""
        here = self.posture == "standing" and not walks
        lying, paws = self.lying_since_s is not None, here and self._is_pawing(now_s)
        return {
            "paw": paws,
            "weave": here and self._is_weaving(now_s),
            "flank-look": here and not paws and behaviours.flank_look(window.nose_at_flank, window.hooves),
            "roll": len(self._on_back_s) == BACKS and now_s - self._on_back_s[0] < BACK_S,
            "thrash": lying and behaviours.thrashing(window.t_s, window.hooves),
        }

    def _is_pawing(self, now_s: float) -> bool | None:
        window = self._history.last(5.0, now_s)
        return behaviours.pawing(window.t_s, window.hooves)

    def _is_weaving(self, now_s: float) -> bool | None:
        window = self._history.last(10.0, now_s)
        if not len(window.t_s) or now_s - window.t_s[0] < 8:
            return None
        return behaviours.weaving(window.t_s, window.nose, window.hooves)

    def _count_posture_changes(self, now_s: float, increments: Increments) -> None:
        """Lying down and rising: between postures that are known, with little unknown between them."""
        if self.posture == "unknown":
            if now_s - self._posture_known_s > BRIDGE_S:
                self._was_upright, self.lying_since_s, self._lying_trunk_px = None, None, None
            return
        upright = self.posture == "standing"
        self._last_standing_s = now_s if upright else self._last_standing_s
        if self._was_upright is not None and upright != self._was_upright:
            increments["rise" if upright else "lie-down"] += 1
        if upright:
            self.lying_since_s, self._lying_trunk_px = None, None
        elif self.lying_since_s is None:
            self.lying_since_s = now_s
        self._was_upright, self._posture_known_s = upright, now_s

    def _detect_fall(self, window: FeatureWindow, increments: Increments) -> None:
        """A fall counts when the horse is soon up again, and where it was: it neither lay down nor walked away."""
        if self._fall is not None:
            self._count_recovery(self._fall, window, increments)
            return
        for leg, heights in enumerate(window.leg_heights.T if self.lying_since_s is None else ()):
            t_s = behaviours.find_fall(window.t_s, heights)
            if t_s is None or t_s - self._last_fall_s < AGAIN_S or t_s - self._last_standing_s > STOOD_S:
                continue
            if behaviours.trunk_sank(window.t_s, window.trunk_centre, window.trunk_length, t_s):
                self._last_fall_s = t_s
                before = window.t_s < t_s - behaviours.FALL_S / 2
                usual = behaviours.median_of(_last_three(heights[before]))
                self._fall = Fall(
                    t_s, leg, usual, window.body_length_px * behaviours.last_position(window.trunk_centre[before])
                )
                return

    def _count_recovery(self, fall: Fall, window: FeatureWindow, increments: Increments) -> None:
        now_s, since = float(window.t_s[-1]), window.t_s > fall.t_s
        away = float(np.hypot(*(behaviours.last_position(window.trunk_centre) - fall.trunk_px / window.body_length_px)))
        if away > ELSEWHERE or (fall.recovered_s is None and now_s - fall.t_s > RECOVERY_S):
            self._fall = None
        elif (
            fall.recovered_s is None
            and behaviours.median_of(_last_three(window.leg_heights[since, fall.leg])) > RECOVERED * fall.height_before
        ):
            self._fall = replace(fall, recovered_s=now_s)
        elif fall.recovered_s is not None and now_s - fall.recovered_s > STAYS_S:
            self._fall = None
            stays = behaviours.is_stationary(window.trunk_centre[window.t_s > fall.recovered_s + STAYS_S / 3])
            increments["collapse"] += stays and away < SAME_PLACE and self.lying_since_s is None

    def _count_weight_shifts(self, window: FeatureWindow, increments: Increments) -> None:
        """The hips change sides about their usual place: another hind leg rests."""
        hips = window.hip_tilt[~np.isnan(window.hip_tilt)]
        if not len(hips):
            return
        now = behaviours.median_of(hips)
        self._hip_baseline = (
            now if math.isnan(self._hip_baseline) else self._hip_baseline + SLOWLY * (now - self._hip_baseline)
        )
        side = 1 if now > self._hip_baseline + SHIFT else -1 if now < self._hip_baseline - SHIFT else 0
        if side and side != self._lower_hip_side:
            increments["weight-shift"] += self._lower_hip_side != 0
            self._lower_hip_side = side

    def _is_box_walking(self, now_s: float, window: FeatureWindow, *, walks: bool) -> bool:
        """The same round through the stall, over and over. One place a second is remembered."""
        centre = window.trunk_centre[~np.isnan(window.trunk_centre[:, 0])]
        if not len(centre) or (self._route and now_s - self._route[-1][0] < 0.9):
            return walks and "box-walking" in self.behaviours
        x_px, y_px = window.body_length_px * behaviours.last_position(centre)  # its length looks another one elsewhere
        self._route.append((now_s, float(x_px), float(y_px)))
        return (
            walks and count_rounds(np.array(self._route) / [1, window.body_length_px, window.body_length_px]) >= LOOPS
        )


def count_rounds(route: F64) -> float:
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


def _last_three(values: F64) -> F64:
    """The last three that were seen."""
    return values[~np.isnan(values)][-3:]


def _head_height(window: FeatureWindow) -> HeadHeight:
    heads = window.head_height[~np.isnan(window.head_height)]
    if not len(heads):
        return "unknown"
    level = behaviours.median_of(heads)
    return "above" if level > ABOVE else "below" if level < BELOW else "level"


def _has_moved(window: FeatureWindow) -> bool:
    """Whether anything moved: the nose, the trunk, a hoof."""
    tracks = (window.nose, window.trunk_centre, *(window.hooves[:, i] for i in range(4)))
    known = [track[~np.isnan(track[:, 0])] for track in tracks]
    return any(len(track) > 2 and float(np.hypot(*(track[-1] - track[0]))) > STIRRED for track in known)
