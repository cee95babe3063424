"""One stall: results of its camera in; what its horse does, its days and its findings out.

Upstream: every result of the camera. Downstream: state, daily and alert messages. One thread.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence, Set
from datetime import datetime, time, timedelta

import numpy as np

from edged.behaviour.horse.day_log import OBSERVED, DayLog, RollingCounts
from edged.behaviour.horse.geometry import is_on_floor, wall_distance_px, zone_at
from edged.behaviour.horse.ground_plane import ground_plane
from edged.behaviour.horse.horse import HorseState, Increments
from edged.behaviour.horse.horse_memory import MeasuredWith, StallMemory
from edged.behaviour.horse.keypoints import HOOVES, NOSE, Box, KeypointObservation
from edged.behaviour.horse.mare_foal import MareFoalAssigner
from edged.behaviour.horse.people import PersonPresence
from edged.behaviour.horse.rules import Mask, StallFacts, StallRule, evaluate, load_rules
from edged.behaviour.horse.thresholds import Horse
from edged.behaviour.horse.thresholds import Stall as T
from edged.behaviour.local_day import instant, minute_of_day
from edged.behaviour.types import Finding, StallState
from edged.config.tables.stall import StallConfig
from edged.errors import ConfigError
from edged.frame import FrameResult, TrackedSubject
from edged.units import NS_PER_S, S_PER_MIN

log = logging.getLogger(__name__)

FRESH_S = Horse.max_observation_age_s
RULES_PERIOD_S = 10.0  # between two evaluations of the rules
FINDING_PAUSE_MIN = 60  # within which a finding that comes back is not logged again
KEYPOINTS = 17  # of HORSE_SCHEMA


class StallMonitor:
    def __init__(
        self,
        stall: StallConfig,
        keypoint_threshold: float,
        day_log: DayLog,
        rules: Sequence[StallRule] | None = None,
        saved: StallMemory | None = None,
    ) -> None:
        """`keypoint_threshold`: least score of a visible keypoint. `rules`: those of rules.toml by default.

        `saved`: what was known before a restart.
        """
        self.stall = stall
        self.state = StallState()
        self.findings: Mapping[str, Finding] = {}  # by kind
        self.day_log = day_log
        self.increments: Mapping[str, float] = {}  # of the last tick
        self._keypoint_threshold = keypoint_threshold
        self._rules = load_rules() if rules is None else tuple(rules)
        self._horse, self._foal, self._mare_foal = HorseState(), HorseState(), MareFoalAssigner()
        self._size_wh: tuple[int, int] | None = None
        self._unfit_sizes: set[tuple[int, int]] = set()  # that were logged
        self._counts = RollingCounts()
        self._started_s: float | None = None
        self._people = PersonPresence()
        self._horse_count = 0
        self._last_result_s = -math.inf
        self._last_rules_s = -math.inf
        self._saved = saved  # until there is an image, whose size tells whether it holds
        if saved is not None:
            self._horse.restore(saved["horse"])
            self._foal.restore(saved["foal"])
        self._lying_since_s = self._horse.lying_since_s

    def process(self, result: FrameResult) -> None:
        """Take in one frame. Horses outside the drawn floor are ignored; the largest one inside is the horse."""
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
            self.update_horse(self._observation(t_s, horse))
        if foal is not None:
            self._foal.update(self._observation(t_s, foal))

    def set_image_size(self, size_wh: tuple[int, int]) -> None:
        """Locate the camera over a floor of known size. With a new size the horse is measured anew."""
        if size_wh == self._size_wh:
            return
        self._size_wh, ground = size_wh, None
        try:
            ground = ground_plane(self.stall, size_wh)
        except ConfigError as exc:
            if size_wh not in self._unfit_sizes:
                log.warning("stall.floor and floor_m do not fit: %s; the horse is measured without them", exc)
            self._unfit_sizes.add(size_wh)
        self._horse, self._foal = self._horse.resized(ground), self._foal.resized(ground)
        saved, self._saved = self._saved, None
        if saved is not None and saved["measured_with"] == self._measured_with(size_wh):
            for horse, kept in ((self._horse, saved["horse"]), (self._foal, saved["foal"])):
                horse.body_size.restore(kept["lengths"], kept["heights_m"])

    @property
    def memory(self) -> StallMemory | None:
        """What is to be known after a restart; None: nothing is known."""
        if self._size_wh is None:
            return self._saved
        measured_with = self._measured_with(self._size_wh)
        return {"measured_with": measured_with, "horse": self._horse.memory, "foal": self._foal.memory}

    def _measured_with(self, size_wh: tuple[int, int]) -> MeasuredWith:
        floor = None if self.stall.floor is None else [(float(x), float(y)) for x, y in self.stall.floor]
        return {"size_wh": size_wh, "floor": floor, "floor_m": self.stall.floor_m}

    def update_horse(self, observation: KeypointObservation) -> None:
        """Take in one observation of the horse."""
        self._last_result_s = observation.t_s
        self._horse.update(observation)

    def idle_rate_hz(self, now_s: float) -> float | None:
        """The frame rate that is enough now; None: every frame, because something moves or a person is there."""
        moved_s = max(self._horse.last_moved_s, self._foal.last_moved_s, self._people.last_activity_s)
        return self.stall.idle_hz if now_s - moved_s > T.awake_s else None

    def tick(self, now_s: float, local: datetime) -> None:
        """Called about once a second. `local`: wall clock, for dates and hours only."""
        self._started_s = now_s if self._started_s is None else self._started_s
        zone, person = self._zone(now_s), now_s - self._people.last_person_s < FRESH_S
        self.increments = increments = self._increments(now_s, zone, person=person)
        self._counts.add(now_s, increments)
        self._log_increments(now_s, local, increments)
        self.state = StallState(
            posture=self._horse.posture,
            head_height=self._horse.head_height,
            behaviours=tuple(sorted(self._horse.behaviours)),
            zone=zone,
            horses=self._horse_count if now_s - self._last_result_s < FRESH_S else 0,
            person_present=person,
            foal_posture=self._foal.posture if self._foal.is_visible(now_s) else None,
        )
        if now_s - self._last_rules_s >= RULES_PERIOD_S:
            self._last_rules_s = now_s
            findings = evaluate(self._rules, self._facts(now_s, local))
            self._log_findings(findings.keys() - self.findings.keys(), local)
            self.findings = findings

    def _observation(self, t_s: float, subject: TrackedSubject) -> KeypointObservation:
        keypoints = subject.keypoints if subject.keypoints is not None else np.full((KEYPOINTS, 3), np.nan, np.float32)
        return KeypointObservation.from_keypoints(t_s, keypoints, _box(subject), self._keypoint_threshold)

    def _increments(self, now_s: float, zone: str | None, *, person: bool) -> Increments:
        increments = self._horse.tick(now_s)
        visible = bool(increments)
        for name, amount in self._foal.tick(now_s).items():
            if name in OBSERVED:
                increments[f"foal-{name}"] += amount
        if visible:
            seconds = increments[f"{self._horse.posture}-s"]
            increments["person-s" if person else "alone-s"] += seconds
            if zone is not None:
                increments[f"at-{zone}-s"] += seconds
        return increments

    def _log_increments(self, now_s: float, local: datetime, increments: Mapping[str, float]) -> None:
        """Add to the day. A lying bout is counted when it ends."""
        if not increments:
            return
        day = self.day_log.today(local.date().isoformat())
        day.add(local.hour, increments)
        active = now_s - self._horse.last_moved_s < T.active_s
        day.mark_minute(minute_of_day(local), self._horse.posture, self._horse.head_height, active=active)
        lying_since_s = self._horse.lying_since_s
        if lying_since_s is not None:
            day.longest_min = max(day.longest_min, round((now_s - lying_since_s) / S_PER_MIN, 1))
        elif self._lying_since_s is not None:
            day.bouts += 1
        self._lying_since_s = lying_since_s

    def _log_findings(self, kinds: Set[str], local: datetime) -> None:
        """Add new findings to the day."""
        day, minute = self.day_log.today(local.date().isoformat()), minute_of_day(local)
        for kind in sorted(kinds):
            if not any(other == kind and minute - at < FINDING_PAUSE_MIN for at, other in day.alerts):
                day.alerts.append((minute, kind))

    def _facts(self, now_s: float, local: datetime) -> StallFacts:
        lying_since_s, night = self._horse.lying_since_s, _is_night(local)
        last_hour = self._counts.totals(60, now_s)
        monitored_min = 0.0 if self._started_s is None else (now_s - self._started_s) / S_PER_MIN
        gauges: dict[str, float | None] = {
            "lying_min": None if lying_since_s is None else (now_s - lying_since_s) / S_PER_MIN,
            "hoof_at_wall": self._hoof_at_wall(),
            "daytime": float(not night),
            "lying_last_day_min": self._lying_last_day_min(now_s) if monitored_min > T.min_observed_min else None,
        }
        return StallFacts(
            now_s=now_s,
            monitored_min=monitored_min,
            counts=self._counts,
            gauges=gauges,
            z_score=lambda name: self.day_log.z_score(name, last_hour[name], local),
            masks=self._active_masks(now_s, local, night=night),
            modes=frozenset({"expecting"}) if self._is_expecting(local) else frozenset(),
        )

    def _active_masks(self, now_s: float, local: datetime, *, night: bool) -> frozenset[Mask]:
        masks: set[Mask] = set()
        if not night:
            masks.add("day")
        if now_s - self._people.last_person_s < T.person_pause_s:
            masks.add("person")
        if any(abs((local - feed).total_seconds()) < T.feeding_s for feed in self._feeding_times(local)):
            masks.add("feeding")
        return frozenset(masks)

    def _feeding_times(self, local: datetime) -> list[datetime]:
        """Those of yesterday, today and tomorrow."""
        days = [local.date() + timedelta(days=days) for days in (-1, 0, 1)]
        return [instant(day, time.fromisoformat(clock)) for clock in self.stall.feeding_times for day in days]

    def _is_expecting(self, local: datetime) -> bool:
        window = self.stall.foaling_window
        return window is not None and window.start <= local.date() <= window.end

    def _lying_last_day_min(self, now_s: float) -> float:
        day = self._counts.totals(24 * 60, now_s)
        return (day["sternal-s"] + day["lateral-s"]) / S_PER_MIN

    def _zone(self, now_s: float) -> str | None:
        """The zone that the nose is in."""
        latest = self._horse.latest
        if latest is None or now_s - latest.t_s > FRESH_S or not latest.visible[NOSE]:
            return None
        return zone_at(self.stall, (float(latest.xy[NOSE, 0]), float(latest.xy[NOSE, 1])))

    def _hoof_at_wall(self) -> float | None:
        """1: the horse lies with a hoof at a wall; 0: it lies without; None: unknown, or it stands."""
        latest, features = self._horse.latest, self._horse.features
        if latest is None or features is None or self._horse.lying_since_s is None:
            return None
        hooves = latest.xy[HOOVES]
        distances_px = [wall_distance_px(self.stall, (float(x), float(y))) for x, y in hooves if not np.isnan(x)]
        return float(min(distances_px) < T.wall_distance * features.body_length_px) if distances_px else None


def _is_night(local: datetime) -> bool:
    return local.hour >= T.night_hours[0] or local.hour < T.night_hours[1]


def _box(subject: TrackedSubject) -> Box:
    x0, y0, x1, y1 = map(float, subject.xyxy)
    return x0, y0, x1, y1


def _area(subject: TrackedSubject) -> float:
    x0, y0, x1, y1 = _box(subject)
    return (x1 - x0) * (y1 - y0)
