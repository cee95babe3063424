"""One stall watched: results of its camera in; what its horse does, its day, and what somebody should know out.

Upstream: every result of the camera. Downstream: state, daily and alert messages. Called by one thread.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from edged.behaviour.horse.day_log import DayLog
from edged.behaviour.horse.geometry import ground_plane, is_on_floor, wall_distance_px, zone_at
from edged.behaviour.horse.horse import FRESH_S, HeadHeight, HorseState
from edged.behaviour.horse.mare_foal import MareFoalAssigner
from edged.behaviour.horse.people import PersonPresence
from edged.behaviour.horse.points import HOOVES, NOSE, KeypointObservation
from edged.behaviour.horse.posture import Posture
from edged.behaviour.horse.rules import OBSERVED, Finding, StallFacts, StallRule, evaluate, load_rules
from edged.behaviour.horse.tally import RollingCounts
from edged.config.tables.stall import StallConfig
from edged.frame import FrameResult, TrackedSubject
from edged.units import NS_PER_S, S_PER_MIN

log = logging.getLogger(__name__)

RULES_PERIOD_S = 10.0  # between two readings of the rules
PERSON_S = 600.0  # after which what a person stirred has settled
FEEDING_S = 1800.0  # around a feed
LEAST_WATCHED_MIN = 6 * 60  # before it says anything that a horse hardly lay down
NIGHT = (20, 6)  # local hours
AT_WALL = 0.3  # body lengths from a hoof to a wall
MOVED_S = 2.0
AWAKE_S = 10.0  # after the last movement every frame is looked at
NOTED_MIN = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class StallState:
    """What holds in a stall at one instant."""

    posture: Posture = "unknown"
    head_height: HeadHeight = "unknown"
    behaviours: tuple[str, ...] = ()
    zone: str | None = None  # a zone
    horses: int = 0
    person_present: bool = False
    foal_posture: Posture | None = None  # None: it is not seen, or none is expected


class StallMonitor:
    def __init__(
        self, stall: StallConfig, keypoint_threshold: float, day_log: DayLog, rules: Sequence[StallRule] | None = None
    ) -> None:
        """`keypoint_threshold` is the score from which a keypoint counts as seen."""
        self.stall = stall
        self.state = StallState()
        self.findings: Mapping[str, Finding] = {}
        self.day_log = day_log
        self.increments: Mapping[str, float] = {}  # what the last tick added
        self._keypoint_threshold = keypoint_threshold
        self._rules = load_rules() if rules is None else tuple(rules)
        self._horse, self._foal, self._mare_foal = HorseState(), HorseState(), MareFoalAssigner()
        self._size_wh: tuple[int, int] | None = None
        self._counts = RollingCounts()
        self._started_s: float | None = None
        self._people = PersonPresence()
        self._horse_count = 0
        self._last_result_s = -math.inf
        self._last_rules_s = -math.inf
        self._lying_since_s: float | None = None

    def process(self, result: FrameResult) -> None:
        """A frame. Who stands elsewhere is nobody's business here; the largest is the horse, or the mare is."""
        t_s = result.captured_ns / NS_PER_S
        self._last_result_s = t_s
        self.set_image_size(result.size_wh)
        self._people.update(t_s, (subject for subject in result.subjects if subject.label == "person"))
        horses = [one for one in result.subjects if one.label == "horse" and is_on_floor(self.stall, _box(one))]
        self._horse_count = len(horses)
        if self.stall.horses == "mare-and-foal":
            horse, foal = self._mare_foal.assign(horses)
        else:
            horse, foal = max(horses, key=_area, default=None), None
        if horse is not None:
            self.update_horse(
                KeypointObservation.from_keypoints(t_s, *_keypoints_and_box(horse), self._keypoint_threshold)
            )
        if foal is not None:
            self._foal.update(
                KeypointObservation.from_keypoints(t_s, *_keypoints_and_box(foal), self._keypoint_threshold)
            )

    def set_image_size(self, size_wh: tuple[int, int]) -> None:
        """The image's size, from which a floor of known size tells where the camera hangs."""
        if size_wh == self._size_wh:
            return
        self._size_wh, ground = size_wh, None
        try:
            ground = ground_plane(self.stall, size_wh)
        except ValueError as exc:
            log.warning("stall.floor and floor_m do not fit: %s; the horse is measured without them", exc)
        self._horse, self._foal = HorseState(ground), HorseState(ground)

    def update_horse(self, observation: KeypointObservation) -> None:
        """The horse itself."""
        self._last_result_s = observation.t_s
        self._horse.update(observation)

    def idle_rate_hz(self, now_s: float) -> float | None:
        """How many frames a second are enough now; None: all there are, something moves or somebody is there."""
        moved_s = max(self._horse.last_moved_s, self._foal.last_moved_s, self._people.last_activity_s)
        return self.stall.idle_hz if now_s - moved_s > AWAKE_S else None

    def tick(self, now_s: float, local: datetime) -> None:
        """About once a second; `local` is the wall clock, for days and hours only."""
        self._started_s = now_s if self._started_s is None else self._started_s
        told = self._horse.tick(now_s)
        for name, amount in self._foal.tick(now_s).items():
            if name in OBSERVED:
                told[f"foal-{name}"] += amount
        horse, zone = self._horse, self._zone(now_s)
        person = now_s - self._people.last_person_s < FRESH_S
        if told:
            told["person-s" if person else "alone-s"] += told[f"{horse.posture}-s"]
            if zone is not None:
                told[f"at-{zone}-s"] += told[f"{horse.posture}-s"]
        self.increments = told
        self._counts.add(now_s, told)
        self._log_increments(now_s, local, told)
        self.state = StallState(
            posture=horse.posture,
            head_height=horse.head_height,
            behaviours=tuple(sorted(horse.behaviours)),
            zone=zone,
            horses=self._horse_count if now_s - self._last_result_s < FRESH_S else 0,
            person_present=person,
            foal_posture=self._foal.posture if self._foal.is_visible(now_s) else None,
        )
        if now_s - self._last_rules_s >= RULES_PERIOD_S:
            self._last_rules_s = now_s
            found = evaluate(self._rules, self._facts(now_s, local))
            self._log_findings(found.keys() - self.findings.keys(), local)
            self.findings = found

    def _log_increments(self, now_s: float, local: datetime, increments: Mapping[str, float]) -> None:
        """Into the day. A bout of lying is counted when it ends."""
        if not increments:
            return
        day = self.day_log.today(local.date().isoformat())
        day.add(local.hour, increments)
        minute = local.hour * 60 + local.minute
        day.mark_minute(
            minute, self._horse.posture, self._horse.head_height, now_s - self._horse.last_moved_s < MOVED_S
        )
        down_s = self._horse.lying_since_s
        if down_s is not None:
            day.longest_min = max(day.longest_min, round((now_s - down_s) / S_PER_MIN, 1))
        elif self._lying_since_s is not None:
            day.bouts += 1
        self._lying_since_s = down_s

    def _log_findings(self, kinds: Set[str], local: datetime) -> None:
        """Findings that are new, into the day: once each while they come and go."""
        day, minute = self.day_log.today(local.date().isoformat()), local.hour * 60 + local.minute
        for kind in sorted(kinds):
            if not any(other == kind and minute - at < NOTED_MIN for at, other in day.alerts):
                day.alerts.append((minute, kind))

    def _facts(self, now_s: float, local: datetime) -> StallFacts:
        down_s, hour = self._horse.lying_since_s, local.hour
        night = hour >= NIGHT[0] or hour < NIGHT[1]
        hour_ago = self._counts.totals(60, now_s)
        watched_min = 0.0 if self._started_s is None else (now_s - self._started_s) / S_PER_MIN
        gauges: dict[str, float | None] = {
            "down_min": None if down_s is None else (now_s - down_s) / S_PER_MIN,
            "at_wall": self._hoof_at_wall(),
            "day": float(not night),
            "lain_min": self._lying_last_day_min(now_s) if watched_min > LEAST_WATCHED_MIN else None,
        }
        return StallFacts(
            now_s=now_s,
            watched_min=watched_min,
            counts=self._counts,
            gauges=gauges,
            habit_z_score=lambda name: self.day_log.z_score(name, hour_ago[name], local),
            masks=frozenset(self._active_masks(now_s, local, night=night)),
            modes=frozenset({"expecting"} if self._is_expecting(local) else ()),
        )

    def _active_masks(self, now_s: float, local: datetime, *, night: bool) -> set[str]:
        masks = set() if night else {"day"}
        if now_s - self._people.last_person_s < PERSON_S:
            masks.add("person")
        if any(abs((local - feed).total_seconds()) < FEEDING_S for feed in self._feeding_times(local)):
            masks.add("feeding")
        return masks

    def _feeding_times(self, local: datetime) -> list[datetime]:
        clocks = [tuple(map(int, clock.split(":"))) for clock in self.stall.feeding_times]
        today = [local.replace(hour=h, minute=m, second=0, microsecond=0) for h, m in clocks]
        return [feed + timedelta(days=days) for feed in today for days in (-1, 0, 1)]

    def _is_expecting(self, local: datetime) -> bool:
        time = self.stall.foaling_window
        return time is not None and time.begin <= local.date() <= time.end

    def _lying_last_day_min(self, now_s: float) -> float:
        day = self._counts.totals(24 * 60, now_s)
        return (day["sternal-s"] + day["lateral-s"]) / S_PER_MIN

    def _zone(self, now_s: float) -> str | None:
        latest = self._horse.latest
        if latest is None or now_s - latest.t_s > FRESH_S or not latest.visible[NOSE]:
            return None
        return zone_at(self.stall, (float(latest.xy[NOSE, 0]), float(latest.xy[NOSE, 1])))

    def _hoof_at_wall(self) -> float | None:
        """1 when a lying horse has a hoof at a wall."""
        latest, measures = self._horse.latest, self._horse.features
        if latest is None or measures is None or self._horse.lying_since_s is None:
            return None
        hooves = latest.xy[HOOVES]
        near = [wall_distance_px(self.stall, (float(x), float(y))) for x, y in hooves if not np.isnan(x)]
        return float(min(near) < AT_WALL * measures.body_length_px) if near else None


def _keypoints_and_box(subject: TrackedSubject) -> tuple[np.ndarray, tuple[float, float, float, float]]:
    found = subject.keypoints if subject.keypoints is not None else np.full((17, 3), np.nan, np.float32)
    return found, _box(subject)


def _box(subject: TrackedSubject) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = map(float, subject.xyxy)
    return x0, y0, x1, y1


def _area(subject: TrackedSubject) -> float:
    x0, y0, x1, y1 = _box(subject)
    return (x1 - x0) * (y1 - y0)
