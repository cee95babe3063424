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

from edged.barn.horse import FRESH_S, Head, Horse
from edged.barn.ledger import Ledger
from edged.barn.pair import Pair
from edged.barn.points import HOOVES, NOSE, Sighting
from edged.barn.posture import Posture
from edged.barn.rules import SEEN, Facts, Finding, Rule, findings, shipped
from edged.barn.settings import Stall
from edged.barn.stall import ground_of, stands_on, wall_px, zone_of
from edged.barn.tally import Tally
from edged.barn.visitors import Visitors
from edged.frame import Result, Subject
from edged.units import NS_PER_S, S_PER_MIN

log = logging.getLogger(__name__)

JUDGED_S = 10.0  # between two readings of the rules
PERSON_S = 600.0  # after which what a person stirred has settled
FEEDING_S = 1800.0  # around a feed
LEAST_WATCHED_MIN = 6 * 60  # before it says anything that a horse hardly lay down
NIGHT = (20, 6)  # local hours
AT_WALL = 0.3  # body lengths from a hoof to a wall
MOVED_S = 2.0
AWAKE_S = 10.0  # after the last movement every frame is looked at
NOTED_MIN = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class StallNow:
    """What holds in a stall at one instant."""

    posture: Posture = "unknown"
    head: Head = "unknown"
    doing: tuple[str, ...] = ()
    at: str | None = None  # a zone
    horses: int = 0
    person: bool = False
    foal: Posture | None = None  # None: it is not seen, or none is expected


class StallWatch:
    def __init__(self, stall: Stall, sure: float, ledger: Ledger, rules: Sequence[Rule] | None = None) -> None:
        """`sure` is the score from which a keypoint counts as seen."""
        self.stall = stall
        self.now = StallNow()
        self.findings: Mapping[str, Finding] = {}
        self.ledger = ledger
        self.told: Mapping[str, float] = {}  # what the last tick added
        self._sure = sure
        self._rules = shipped() if rules is None else tuple(rules)
        self._horse, self._foal, self._pair = Horse(), Horse(), Pair()
        self._size_wh: tuple[int, int] | None = None
        self._tally = Tally()
        self._began_s: float | None = None
        self._visitors = Visitors()
        self._horses = 0
        self._result_s = -math.inf
        self._judged_s = -math.inf
        self._down_s: float | None = None

    def see(self, result: Result) -> None:
        """A frame. Who stands elsewhere is nobody's business here; the largest is the horse, or the mare is."""
        t_s = result.captured_ns / NS_PER_S
        self._result_s = t_s
        self.sized(result.size_wh)
        self._visitors.see(t_s, (subject for subject in result.seen if subject.label == "person"))
        horses = [one for one in result.seen if one.label == "horse" and stands_on(self.stall, _box(one))]
        self._horses = len(horses)
        if self.stall.horses == "mare-and-foal":
            horse, foal = self._pair.part(horses)
        else:
            horse, foal = max(horses, key=_area, default=None), None
        if horse is not None:
            self.saw(Sighting.of(t_s, *_points(horse), self._sure))
        if foal is not None:
            self._foal.see(Sighting.of(t_s, *_points(foal), self._sure))

    def sized(self, size_wh: tuple[int, int]) -> None:
        """The image's size, from which a floor of known size tells where the camera hangs."""
        if size_wh == self._size_wh:
            return
        self._size_wh, ground = size_wh, None
        try:
            ground = ground_of(self.stall, size_wh)
        except ValueError as exc:
            log.warning("stall.floor and floor_m do not fit: %s; the horse is measured without them", exc)
        self._horse, self._foal = Horse(ground), Horse(ground)

    def saw(self, sighting: Sighting) -> None:
        """The horse itself."""
        self._result_s = sighting.t_s
        self._horse.see(sighting)

    def rest_hz(self, now_s: float) -> float | None:
        """How many frames a second are enough now; None: all there are, something moves or somebody is there."""
        moved_s = max(self._horse.stirred_s, self._foal.stirred_s, self._visitors.stirred_s)
        return self.stall.rest_hz if now_s - moved_s > AWAKE_S else None

    def tick(self, now_s: float, local: datetime) -> None:
        """About once a second; `local` is the wall clock, for days and hours only."""
        self._began_s = now_s if self._began_s is None else self._began_s
        told = self._horse.tick(now_s)
        for name, amount in self._foal.tick(now_s).items():
            if name in SEEN:
                told[f"foal-{name}"] += amount
        horse, zone = self._horse, self._zone(now_s)
        person = now_s - self._visitors.seen_s < FRESH_S
        if told:
            told["person-s" if person else "alone-s"] += told[f"{horse.posture}-s"]
            if zone is not None:
                told[f"at-{zone}-s"] += told[f"{horse.posture}-s"]
        self.told = told
        self._tally.add(now_s, told)
        self._enter(now_s, local, told)
        self.now = StallNow(
            posture=horse.posture,
            head=horse.head,
            doing=tuple(sorted(horse.doing)),
            at=zone,
            horses=self._horses if now_s - self._result_s < FRESH_S else 0,
            person=person,
            foal=self._foal.posture if self._foal.fresh(now_s) else None,
        )
        if now_s - self._judged_s >= JUDGED_S:
            self._judged_s = now_s
            found = findings(self._rules, self._facts(now_s, local))
            self._note(found.keys() - self.findings.keys(), local)
            self.findings = found

    def _enter(self, now_s: float, local: datetime, told: Mapping[str, float]) -> None:
        """Into the day. A bout of lying is counted when it ends."""
        if not told:
            return
        day = self.ledger.today(local.date().isoformat())
        day.add(local.hour, told)
        minute = local.hour * 60 + local.minute
        day.mark(minute, self._horse.posture, self._horse.head, now_s - self._horse.stirred_s < MOVED_S)
        down_s = self._horse.down_since_s
        if down_s is not None:
            day.longest_min = max(day.longest_min, round((now_s - down_s) / S_PER_MIN, 1))
        elif self._down_s is not None:
            day.bouts += 1
        self._down_s = down_s

    def _note(self, kinds: Set[str], local: datetime) -> None:
        """Findings that are new, into the day: once each while they come and go."""
        day, minute = self.ledger.today(local.date().isoformat()), local.hour * 60 + local.minute
        for kind in sorted(kinds):
            if not any(other == kind and minute - at < NOTED_MIN for at, other in day.alerts):
                day.alerts.append((minute, kind))

    def _facts(self, now_s: float, local: datetime) -> Facts:
        down_s, hour = self._horse.down_since_s, local.hour
        night = hour >= NIGHT[0] or hour < NIGHT[1]
        hour_ago = self._tally.last(60, now_s)
        watched_min = 0.0 if self._began_s is None else (now_s - self._began_s) / S_PER_MIN
        gauges: dict[str, float | None] = {
            "down_min": None if down_s is None else (now_s - down_s) / S_PER_MIN,
            "at_wall": self._at_wall(),
            "day": float(not night),
            "lain_min": self._lain_min(now_s) if watched_min > LEAST_WATCHED_MIN else None,
        }
        return Facts(
            now_s=now_s,
            watched_min=watched_min,
            tally=self._tally,
            gauges=gauges,
            habit=lambda name: self.ledger.unusual(name, hour_ago[name], local),
            masks=frozenset(self._masks(now_s, local, night=night)),
            modes=frozenset({"expecting"} if self._expecting(local) else ()),
        )

    def _masks(self, now_s: float, local: datetime, *, night: bool) -> set[str]:
        masks = set() if night else {"day"}
        if now_s - self._visitors.seen_s < PERSON_S:
            masks.add("person")
        if any(abs((local - feed).total_seconds()) < FEEDING_S for feed in self._feeds(local)):
            masks.add("feeding")
        return masks

    def _feeds(self, local: datetime) -> list[datetime]:
        clocks = [tuple(map(int, clock.split(":"))) for clock in self.stall.feeding]
        today = [local.replace(hour=h, minute=m, second=0, microsecond=0) for h, m in clocks]
        return [feed + timedelta(days=days) for feed in today for days in (-1, 0, 1)]

    def _expecting(self, local: datetime) -> bool:
        time = self.stall.expecting
        return time is not None and time.begin <= local.date() <= time.end

    def _lain_min(self, now_s: float) -> float:
        day = self._tally.last(24 * 60, now_s)
        return (day["sternal-s"] + day["lateral-s"]) / S_PER_MIN

    def _zone(self, now_s: float) -> str | None:
        latest = self._horse.latest
        if latest is None or now_s - latest.t_s > FRESH_S or not latest.known[NOSE]:
            return None
        return zone_of(self.stall, (float(latest.xy[NOSE, 0]), float(latest.xy[NOSE, 1])))

    def _at_wall(self) -> float | None:
        """1 when a lying horse has a hoof at a wall."""
        latest, measures = self._horse.latest, self._horse.measures
        if latest is None or measures is None or self._horse.down_since_s is None:
            return None
        hooves = latest.xy[HOOVES]
        near = [wall_px(self.stall, (float(x), float(y))) for x, y in hooves if not np.isnan(x)]
        return float(min(near) < AT_WALL * measures.length_px) if near else None


def _points(subject: Subject) -> tuple[np.ndarray, tuple[float, float, float, float]]:
    found = subject.keypoints if subject.keypoints is not None else np.full((17, 3), np.nan, np.float32)
    return found, _box(subject)


def _box(subject: Subject) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = map(float, subject.xyxy)
    return x0, y0, x1, y1


def _area(subject: Subject) -> float:
    x0, y0, x1, y1 = _box(subject)
    return (x1 - x0) * (y1 - y0)
