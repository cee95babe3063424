"""One horse: observations in; once a second its posture, its behaviours and what the time since adds.

Upstream: tracks of a pose model. Downstream: the stall monitor. Times are CLOCK_MONOTONIC. One thread.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque

import numpy as np

from edged.behaviour.horse import behaviours
from edged.behaviour.horse.behaviours import BoutDetector
from edged.behaviour.horse.body_size import BodySizeEstimator
from edged.behaviour.horse.box_walking import BoxWalkingDetector
from edged.behaviour.horse.falls import FallDetector
from edged.behaviour.horse.features import FeatureHistory, FeatureWindow, PoseFeatures, extract_features
from edged.behaviour.horse.ground_plane import GroundPlane
from edged.behaviour.horse.horse_memory import HorseMemory
from edged.behaviour.horse.keypoints import KeypointObservation
from edged.behaviour.horse.nan_stats import nan_median
from edged.behaviour.horse.posture import PostureFilter, PostureLabel, check_standing, classify_posture, is_on_back
from edged.behaviour.horse.thresholds import BOUTS, Behaviours
from edged.behaviour.horse.thresholds import Horse as T
from edged.behaviour.types import HeadHeight, Posture
from edged.frame import F64

LYING: tuple[Posture, ...] = ("sternal", "lateral")
WHILE_STANDING = frozenset({"walking", "box-walking", "paw", "weave", "flank-look"})
WHILE_LYING = frozenset({"roll", "thrash"})
MAX_TICK_S = 2.0  # between two ticks; after a longer pause nothing is added

Increments = defaultdict[str, float]  # what a time adds: seconds under `<name>-s`, counts under the name alone


class HorseState:
    """`update` for every observation, `tick` about once a second."""

    def __init__(self, ground: GroundPlane | None = None) -> None:
        """With a `ground` plane the horse is measured as if from above."""
        self.body_size = BodySizeEstimator(ground)
        self.behaviours: frozenset[str] = frozenset()
        self.head_height: HeadHeight = "unknown"
        self.lying_since_s: float | None = None
        self.last_moved_s = 0.0
        self.latest: KeypointObservation | None = None
        self.features: PoseFeatures | None = None  # of `latest`
        self._posture_filter = PostureFilter()
        self._history = FeatureHistory()
        self._bouts = {name: BoutDetector(thresholds) for name, thresholds in BOUTS.items()}
        self._falls = FallDetector()
        self._box_walking = BoxWalkingDetector()
        self._weight_shifts = _WeightShifts()
        self._last_tick_s: float | None = None
        self._lying_trunk_px: F64 | None = None  # (2,) where the trunk lies
        self._was_upright: bool | None = None  # at the last known posture
        self._has_walked = False  # since it lay
        self._posture_known_s = 0.0
        self._last_standing_s = -math.inf
        self._on_back_s: deque[float] = deque(maxlen=T.on_back_count)  # times of observations on its back

    def resized(self, ground: GroundPlane | None) -> HorseState:
        """The same horse in images of another size: measured anew, and lying for as long as before."""
        horse = HorseState(ground)
        horse.lying_since_s, horse._was_upright = self.lying_since_s, self._was_upright
        horse._posture_known_s, horse._last_standing_s = self._posture_known_s, self._last_standing_s
        return horse

    @property
    def memory(self) -> HorseMemory:
        """For `restore` after a restart."""
        lengths, heights_m = self.body_size.samples
        standing_s = None if math.isinf(self._last_standing_s) else self._last_standing_s
        return {
            "lying_since_s": self.lying_since_s,
            "was_upright": self._was_upright,
            "posture_known_s": self._posture_known_s,
            "last_standing_s": standing_s,
            "lengths": lengths,
            "heights_m": heights_m,
        }

    def restore(self, memory: HorseMemory) -> None:
        """Go on lying or standing; a pause of more than `unknown_gap_s` ends it, as that of a camera does."""
        self.lying_since_s, self._was_upright = memory["lying_since_s"], memory["was_upright"]
        self._posture_known_s = memory["posture_known_s"]
        standing_s = memory["last_standing_s"]
        self._last_standing_s = -math.inf if standing_s is None else standing_s

    @property
    def posture(self) -> Posture:
        """What the last seconds show; a horse that is seen on its back lies, before their vote has changed."""
        voted = self._posture_filter.posture
        return "lateral" if "roll" in self.behaviours and voted not in LYING else voted

    def is_visible(self, now_s: float) -> bool:
        return self.latest is not None and now_s - self.latest.t_s <= T.max_observation_age_s

    def update(self, observation: KeypointObservation) -> None:
        features = extract_features(observation, self.body_size.size)
        self.latest, self.features = observation, features
        self._history.add(features)
        label = self._posture_label(features)
        self._posture_filter.update(features.t_s, label)
        if label == "standing" and self._is_surely_standing(features):
            self.body_size.update(features)
        if is_on_back(features):
            self._on_back_s.append(features.t_s)

    def _is_surely_standing(self, features: PoseFeatures) -> bool:
        """A lying horse is misread now and then: nothing is learned from that."""
        if features.ground is None:
            return self._posture_filter.posture not in LYING
        return check_standing(features.ground, has_walked=self._has_walked) == "standing"

    def _posture_label(self, features: PoseFeatures) -> PostureLabel:
        """A horse that lay stands only once its trunk has risen or moved: legs towards the camera point down too."""
        label = classify_posture(features, was_lying=self.lying_since_s is not None)
        if label == "standing" and features.ground is not None and not features.body_length_known:
            label = check_standing(features.ground, has_walked=self._has_walked)
        here_px = np.array(features.trunk_centre) * features.body_length_px
        if self.lying_since_s is None or np.isnan(here_px[0]) or features.ground is not None:
            return label
        if label in ("sternal", "lateral"):
            before_px = here_px if self._lying_trunk_px is None else self._lying_trunk_px
            self._lying_trunk_px = before_px + T.lying_place_gain * (here_px - before_px)
        elif label == "standing" and self._lying_trunk_px is not None:
            aside, down = (here_px - self._lying_trunk_px) / features.body_length_px
            if abs(aside) < T.lying_place and down > -T.rise_length:
                return "unknown"
        return label

    def tick(self, now_s: float) -> Increments:
        """What the time since the last tick adds; empty while the horse was not visible."""
        self._posture_filter.expire(now_s)
        before_s, self._last_tick_s = self._last_tick_s, now_s
        passed_s = 0.0 if before_s is None else now_s - before_s
        increments: Increments = defaultdict(float)
        if not self.is_visible(now_s) or not 0 < passed_s <= MAX_TICK_S:
            self.behaviours, self.head_height = frozenset(), "unknown"
            return increments
        self._update_behaviours(now_s, increments)
        self.behaviours -= impossible_behaviours(self.posture)
        for name in (self.posture, *self.behaviours, f"head-{self.head_height}"):
            increments[f"{name}-s"] += passed_s
        self._count_posture_changes(now_s, increments)
        return increments

    def _update_behaviours(self, now_s: float, increments: Increments) -> None:
        """Set `behaviours` and `head_height`; count the bouts that have just ended."""
        window = self._history.last(Behaviours.walk_window_s, now_s)
        self.head_height = _head_height(window)
        if _has_moved(window):
            self.last_moved_s = now_s
        active: dict[str, bool | None] = dict.fromkeys(self._bouts, False)
        walking = False
        if now_s - self.last_moved_s <= T.idle_after_s:
            self._weight_shifts.reset()
            walking = bool(behaviours.walking(window.t_s, window.hooves, window.trunk_centre))
            self._has_walked |= walking
            active = self._detect_behaviours(now_s, window, walking=walking)
            falls = self._history.last(Behaviours.fall_window_s, now_s)
            lying = self.lying_since_s is not None
            if self._falls.update(falls, lying=lying, last_standing_s=self._last_standing_s):
                increments["collapse"] += 1
        elif self._posture_filter.posture == "standing" and self._weight_shifts.update(
            self._history.last(T.weight_shift_s, now_s)
        ):
            increments["weight-shift"] += 1
        for name, bouts in self._bouts.items():
            if bouts.update(now_s, active[name]) is not None:
                increments[name] += 1
        before = "box-walking" in self.behaviours
        active["walking"] = walking
        active["box-walking"] = self._box_walking.update(now_s, window, walking=walking, before=before)
        self.behaviours = frozenset(name for name, is_active in active.items() if is_active)

    def _detect_behaviours(self, now_s: float, window: FeatureWindow, *, walking: bool) -> dict[str, bool | None]:
        """By behaviour whether it is going on, where the posture allows it; None: unknown."""
        in_place, lying = self._posture_filter.posture == "standing" and not walking, self.lying_since_s is not None
        pawing = in_place and self._is_pawing(now_s)
        return {
            "paw": pawing,
            "weave": in_place and self._is_weaving(now_s),
            "flank-look": in_place and not pawing and behaviours.flank_look(window.nose_at_flank, window.hooves),
            "roll": len(self._on_back_s) == T.on_back_count and now_s - self._on_back_s[0] < T.on_back_s,
            "thrash": lying and behaviours.thrashing(window.t_s, window.hooves),
        }

    def _is_pawing(self, now_s: float) -> bool | None:
        window = self._history.last(T.paw_window_s, now_s)
        return behaviours.pawing(window.t_s, window.hooves)

    def _is_weaving(self, now_s: float) -> bool | None:
        window = self._history.last(T.weave_window_s, now_s)
        if not len(window.t_s) or now_s - window.t_s[0] < T.weave_min_window_s:
            return None
        return behaviours.weaving(window.t_s, window.nose, window.hooves)

    def _count_posture_changes(self, now_s: float, increments: Increments) -> None:
        """Count lying down and rising: between known postures, with at most `unknown_gap_s` between them."""
        voted = self._posture_filter.posture
        if voted == "unknown":
            if now_s - self._posture_known_s > T.unknown_gap_s:
                self._has_walked &= self._was_upright is None  # it may have lain down since
                self._was_upright, self.lying_since_s, self._lying_trunk_px = None, None, None
            return
        upright = voted == "standing"
        if self._was_upright is not None and upright != self._was_upright:
            increments["rise" if upright else "lie-down"] += 1
        if upright:
            self._last_standing_s = now_s
            self.lying_since_s, self._lying_trunk_px = None, None
        elif self.lying_since_s is None:
            self.lying_since_s, self._has_walked = now_s, False
        self._was_upright, self._posture_known_s = upright, now_s


def impossible_behaviours(posture: Posture) -> frozenset[str]:
    """What a horse in this posture does not do. A posture is voted on for seconds, and may lag behind a behaviour."""
    if posture in LYING:
        return WHILE_STANDING
    return WHILE_LYING if posture == "standing" else frozenset()


class _WeightShifts:
    """The hips of a standing horse change sides about their usual tilt: another hind leg rests."""

    def __init__(self) -> None:
        self._baseline = math.nan
        self._lower_side = 0  # -1 or 1; 0: not known yet

    def reset(self) -> None:
        """The horse has moved and may stand differently now."""
        self._baseline = math.nan

    def update(self, window: FeatureWindow) -> bool:
        """Whether the weight has just been shifted."""
        tilt = nan_median(window.hip_tilt)
        if math.isnan(tilt):
            return False
        if math.isnan(self._baseline):
            self._baseline = tilt
        self._baseline += T.hip_baseline_gain * (tilt - self._baseline)
        side = 0
        if abs(tilt - self._baseline) > T.weight_shift:
            side = 1 if tilt > self._baseline else -1
        if side in (0, self._lower_side):
            return False
        known = self._lower_side != 0
        self._lower_side = side
        return known


def _head_height(window: FeatureWindow) -> HeadHeight:
    height = nan_median(window.head_height)
    if math.isnan(height):
        return "unknown"
    if height > T.head_above:
        return "above"
    return "below" if height < T.head_below else "level"


def _has_moved(window: FeatureWindow) -> bool:
    """Whether the nose, the trunk or a hoof has moved."""
    tracks = (window.nose, window.trunk_centre, *(window.hooves[:, i] for i in range(4)))
    known = [track[~np.isnan(track[:, 0])] for track in tracks]
    return any(len(track) > 2 and float(np.hypot(*(track[-1] - track[0]))) > T.move_length for track in known)
