"""One simulated stall-day through `edged.behaviour.horse`, and how what it said compares with what was."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from edged.behaviour.horse.day_log import DayLog, StallDay
from edged.behaviour.horse.keypoints import KeypointObservation
from edged.behaviour.horse.rules import load_rules
from edged.behaviour.horse.stall_monitor import StallMonitor
from edged.config.tables.stall import FoalingWindowConfig, StallConfig
from edged.units import S_PER_MIN
from tools.barn.life import DAY_S, TRANSITIONS, Act, crowded, day
from tools.barn.tracks import View, observations

DATE = datetime(2027, 1, 15).astimezone()
FLOOR = ((-2.0, -2.0), (2.0, -2.0), (2.0, 2.0), (-2.0, 2.0))  # m
FLOOR_M = (4.0, 4.0)
COUNTED = {  # acts by what they are counted as, and how far apart two of them still are one
    "paw": (("pawing",), 10.0),
    "flank-look": (("flank-look",), 2.0),
    "roll": (("rolling",), 20.0),
    "weave": (("weaving",), 20.0),
    "thrash": (("thrashing",), 5.0),
    "lie-down": (("lying-down",), 0.0),
    "rise": (("rising",), 0.0),
    "collapse": (("collapsing", "buckling"), 5.0),
}
CROWDED = "crowded"
SLACK_S = 40.0  # that a count may come after the act


@dataclass(slots=True, kw_only=True)
class Outcome:
    """Plain data. Seconds of truth by what was said; behaviours as right, missed, false; findings by their minute."""

    seed: int
    trouble: str | None
    dropped: float  # share of the keypoints
    started_min: float | None  # when the trouble did
    postures: Counter[tuple[str, str]] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    false: Counter[str] = field(default_factory=Counter)
    bouts: tuple[int, int] = (0, 0)  # of lying: there were, were counted
    found: list[tuple[str, float]] = field(default_factory=list)  # kind and minute of each episode


def run_day(seed: int, trouble: str | None, dropped: float, idle_hz: float | None = None) -> Outcome:
    """A day of 24 h; with the trouble `crowded` four hours in which everything happens."""
    rng = np.random.default_rng(seed)
    acts = crowded(rng) if trouble == CROWDED else day(rng, trouble)
    view = View(dropped=dropped)
    expecting = FoalingWindowConfig(begin=DATE.date(), end=DATE.date()) if trouble == "foaling" else None
    watch = make_monitor(view, idle_hz=idle_hz, feeding_times=("06:30", "17:00"), foaling_window=expecting)
    outcome = Outcome(seed=seed, trouble=trouble, dropped=dropped, started_min=_start_min(acts, trouble))
    gap = NO_GAP if trouble == CROWDED else _gap(rng)
    told = _simulate(watch, acts, observations(acts, view, rng), gap, outcome)
    _compare(acts, told, gap, outcome)
    outcome.bouts = (
        sum(act.kind == "rising" and acts[i - 1].posture == "sternal" for i, act in enumerate(acts)),
        _today(watch).bouts,
    )
    return outcome


def make_monitor(view: View, **more: Any) -> StallMonitor:
    """A stall whose floor is drawn, and its size given."""
    floor = tuple((float(x), float(y)) for x, y in view.project(np.array([[x, y, 0.0] for x, y in FLOOR])))
    watch = StallMonitor(StallConfig(enabled=True, floor=floor, floor_m=FLOOR_M, **more), 0.3, DayLog([]))
    watch.set_image_size(view.size_wh)
    return watch


def _simulate(
    watch: StallMonitor,
    acts: list[Act],
    seen: Iterable[KeypointObservation],
    gap: tuple[float, float],
    outcome: Outcome,
) -> list[tuple[float, str]]:
    """The day, sighting by sighting; what was counted, and when."""
    counted: list[tuple[float, str]] = []
    begins = [act.begin_s for act in acts]
    last: dict[str, float] = {}
    next_s = 0.0
    seen_s = -1.0
    for sighting in seen:
        resting_hz = watch.idle_rate_hz(sighting.t_s)
        due = resting_hz is None or sighting.t_s - seen_s > 0.99 / resting_hz
        if due and not gap[0] <= sighting.t_s < gap[1]:
            seen_s = sighting.t_s
            watch.update_horse(sighting)
        if sighting.t_s < next_s:
            continue
        next_s = sighting.t_s + 1.0
        watch.tick(sighting.t_s, DATE + timedelta(seconds=min(sighting.t_s, DAY_S - 1)))
        act = acts[bisect_right(begins, sighting.t_s) - 1]
        if not gap[0] <= sighting.t_s < gap[1] and act.kind not in TRANSITIONS:
            outcome.postures[act.posture, watch.state.posture] += 1
        counted += [(sighting.t_s, name) for name in COUNTED if watch.increments.get(name)]
        for kind in watch.findings:
            if sighting.t_s - last.get(kind, -1e9) > 30 * S_PER_MIN:
                outcome.found.append((kind, sighting.t_s / S_PER_MIN))
            last[kind] = sighting.t_s
    return counted


def _today(watch: StallMonitor) -> StallDay:
    return watch.day_log.days[-1] if watch.day_log.days else StallDay("")


def _compare(acts: list[Act], told: Iterable[tuple[float, str]], gap: tuple[float, float], outcome: Outcome) -> None:
    left = sorted(told)
    for name, (kinds, join_s) in COUNTED.items():
        for begin_s, end_s in _merge_acts(acts, kinds, join_s):
            if begin_s < gap[1] and end_s > gap[0]:
                continue
            hits = [one for one in left if one[1] == name and begin_s - 5 <= one[0] <= end_s + join_s + SLACK_S]
            outcome.right[name] += bool(hits)
            outcome.missed[name] += not hits
            left = [one for one in left if one not in hits[:1]]
    outcome.false.update(name for t_s, name in left if not gap[0] - SLACK_S <= t_s <= gap[1] + SLACK_S)


def _merge_acts(acts: list[Act], kinds: tuple[str, ...], join_s: float) -> list[tuple[float, float]]:
    spans: list[tuple[float, float]] = []
    for act in acts:
        if act.kind in kinds:
            if spans and act.begin_s - spans[-1][1] <= join_s:
                spans[-1] = spans[-1][0], act.begin_s + act.seconds
            else:
                spans.append((act.begin_s, act.begin_s + act.seconds))
    return spans


NO_GAP = (-1.0, -1.0)


def _gap(rng: np.random.Generator) -> tuple[float, float]:
    """The camera is away for a while, on one day in five."""
    begin_s = float(rng.uniform(0, DAY_S))
    return (begin_s, begin_s + float(rng.uniform(5, 60)) * S_PER_MIN) if rng.random() < 0.2 else NO_GAP


SHOWS = {  # the act that shows a trouble, and how often it must have come
    "colic": (("rolling",), 3),  # twice is how a healthy horse rolls
    "cast": (("thrashing",), 2),
    "foaling": (("lying-down",), 3),
    "collapse": (("collapsing", "buckling"), 2),
    "too-long": (("sternal",), 1),
    "box-walking": (("walking",), 1),
}


def _start_min(acts: list[Act], trouble: str | None) -> float | None:
    """When the trouble began: acts carry no name of it, so the first cluster of what shows it."""
    if trouble is None or trouble == CROWDED:
        return None
    kinds, times = SHOWS[trouble]
    least_s = {"too-long": 2400, "box-walking": 300}.get(trouble, 0)
    begins = [act.begin_s for act in acts if act.kind in kinds and act.seconds > least_s]
    for i in range(len(begins) - times + 1):
        if begins[i + times - 1] - begins[i] < 3600:
            return begins[i] / S_PER_MIN
    return None


EXPECTED = {  # which alerts say it
    "colic": ("colic-suspected", "restless"),
    "cast": ("cast-suspected",),
    "foaling": ("foaling-suspected", "restless"),
    "collapse": ("collapsing",),
    "too-long": ("down-too-long",),
    "box-walking": ("stereotypy", "restless"),
}


def rules() -> dict[str, str]:
    """Severity by kind."""
    return {rule.kind: rule.severity for rule in load_rules()}
