"""One simulated stall-day through `edged.behaviour.horse`, compared with the truth."""

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
from tools.barn.tracks import Gate, View, observations

DATE = datetime(2027, 1, 15).astimezone()
FLOOR = ((-2.0, -2.0), (2.0, -2.0), (2.0, 2.0), (-2.0, 2.0))  # m
FLOOR_M = (4.0, 4.0)
COUNTED = {  # by count: the acts that it counts, and the gap in s up to which two of them are one
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
AROUND_MIN = -60.0, 200.0  # of a trouble's first signs: what is simulated of the day of a trouble alone
SLACK_S = 40.0  # that a count may come after the act


@dataclass(slots=True, kw_only=True)
class Outcome:
    """One simulation compared with the truth. Plain data."""

    seed: int
    trouble: str | None
    dropped: float  # share of the keypoints
    started_min: float | None  # of the trouble
    postures: Counter[tuple[str, str]] = field(default_factory=Counter)  # seconds by true and estimated posture
    right: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    false: Counter[str] = field(default_factory=Counter)
    bouts: tuple[int, int] = (0, 0)  # of lying: true, counted
    found: list[tuple[str, float]] = field(default_factory=list)  # kind and minute of each alert


def run_day(
    seed: int, trouble: str | None, dropped: float, idle_hz: float | None = None, gate: Gate | None = None
) -> Outcome:
    """What was found in a day of 24 h; with the trouble `crowded` in four hours in which every behaviour occurs."""
    return logged_day(seed, trouble, dropped, idle_hz, gate)[0]


def run_trouble(seed: int, trouble: str, dropped: float, gate: Gate | None = None) -> Outcome:
    """What was found of a trouble, always in view: the day from an hour before its first signs to what may name it."""
    return logged_day(seed, trouble, dropped, gate=gate, around_min=AROUND_MIN)[0]


def logged_day(
    seed: int,
    trouble: str | None,
    dropped: float,
    idle_hz: float | None = None,
    gate: Gate | None = None,
    *,
    around_min: tuple[float, float] | None = None,
) -> tuple[Outcome, StallDay]:
    """The same, and the day as `edged barn report` reads it.

    `around_min`: only this part of the day, always in view, from the first signs of the trouble, or from midnight.
    """
    rng = np.random.default_rng(seed)
    acts = crowded(rng) if trouble == CROWDED else day(rng, trouble)
    if around_min is not None:
        start_min = _start_min(acts, trouble) or 0.0
        begin_s, end_s = (S_PER_MIN * (start_min + minutes) for minutes in around_min)
        acts = [act for act in acts if begin_s <= act.begin_s < end_s]
    view = View(dropped=dropped, gate=gate)
    foaling_window = FoalingWindowConfig(start=DATE.date(), end=DATE.date()) if trouble == "foaling" else None
    monitor = make_monitor(view, idle_hz=idle_hz, feeding_times=("06:30", "17:00"), foaling_window=foaling_window)
    outcome = Outcome(seed=seed, trouble=trouble, dropped=dropped, started_min=_start_min(acts, trouble))
    gap = NO_GAP if trouble == CROWDED or around_min else _gap(rng)
    counted = _simulate(monitor, acts, observations(acts, view, rng), gap, outcome)
    _compare(acts, counted, gap, outcome)
    outcome.bouts = (
        sum(act.kind == "rising" and acts[i - 1].posture == "sternal" for i, act in enumerate(acts)),
        _today(monitor).bouts,
    )
    return outcome, _today(monitor)


def make_monitor(view: View, **more: Any) -> StallMonitor:
    """The monitor of a stall with a floor of known size."""
    floor = tuple((float(x), float(y)) for x, y in view.project(np.array([[x, y, 0.0] for x, y in FLOOR])))
    monitor = StallMonitor(StallConfig(enabled=True, floor=floor, floor_m=FLOOR_M, **more), 0.3, DayLog([]))
    monitor.set_image_size(view.size_wh)
    return monitor


def _simulate(
    monitor: StallMonitor,
    acts: list[Act],
    observed: Iterable[KeypointObservation],
    gap: tuple[float, float],
    outcome: Outcome,
) -> list[tuple[float, str]]:
    """Feed the day to the monitor, observation by observation; the counts, as time in s and name."""
    counted: list[tuple[float, str]] = []
    begins = [act.begin_s for act in acts]
    last: dict[str, float] = {}
    next_s = 0.0
    observed_s = -1.0
    for observation in observed:
        resting_hz = monitor.idle_rate_hz(observation.t_s)
        due = resting_hz is None or observation.t_s - observed_s > 0.99 / resting_hz
        if due and not gap[0] <= observation.t_s < gap[1]:
            observed_s = observation.t_s
            monitor.update_horse(observation)
        if observation.t_s < next_s:
            continue
        next_s = observation.t_s + 1.0
        monitor.tick(observation.t_s, DATE + timedelta(seconds=min(observation.t_s, DAY_S - 1)))
        act = acts[bisect_right(begins, observation.t_s) - 1]
        if not gap[0] <= observation.t_s < gap[1] and act.kind not in TRANSITIONS:
            outcome.postures[act.posture, monitor.state.posture] += 1
        counted += [(observation.t_s, name) for name in COUNTED if monitor.increments.get(name)]
        for kind in monitor.findings:
            if observation.t_s - last.get(kind, -1e9) > 30 * S_PER_MIN:
                outcome.found.append((kind, observation.t_s / S_PER_MIN))
            last[kind] = observation.t_s
    return counted


def _today(monitor: StallMonitor) -> StallDay:
    return monitor.day_log.days[-1] if monitor.day_log.days else StallDay(DATE.date().isoformat())


def _compare(acts: list[Act], counted: Iterable[tuple[float, str]], gap: tuple[float, float], outcome: Outcome) -> None:
    left = sorted(counted)
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
    """Begin and end in s of the time without a camera, on one day in five."""
    begin_s = float(rng.uniform(0, DAY_S))
    return (begin_s, begin_s + float(rng.uniform(5, 60)) * S_PER_MIN) if rng.random() < 0.2 else NO_GAP


SHOWS = {  # by trouble: the acts that show it, and how many of them
    "colic": (("rolling",), 3),  # twice is how a healthy horse rolls
    "cast": (("thrashing",), 2),
    "foaling": (("lying-down",), 3),
    "collapse": (("collapsing", "buckling"), 2),
    "too-long": (("sternal",), 1),
    "box-walking": (("walking",), 1),
}


def _start_min(acts: list[Act], trouble: str | None) -> float | None:
    """Begin of the trouble: the first cluster of the acts that show it."""
    if trouble is None or trouble == CROWDED:
        return None
    kinds, times = SHOWS[trouble]
    least_s = {"too-long": 2400, "box-walking": 300}.get(trouble, 0)
    begins = [act.begin_s for act in acts if act.kind in kinds and act.seconds > least_s]
    for i in range(len(begins) - times + 1):
        if begins[i + times - 1] - begins[i] < 3600:
            return begins[i] / S_PER_MIN
    return None


EXPECTED = {  # by trouble: the alerts that name it
    "colic": ("colic-suspected", "restless"),
    "cast": ("cast-suspected",),
    "foaling": ("foaling-suspected", "restless"),
    "collapse": ("collapsing",),
    "too-long": ("down-too-long",),
    "box-walking": ("stereotypy", "restless"),
}


def rules() -> dict[str, str]:
    """The severity of each alert, by kind."""
    return {rule.kind: rule.severity for rule in load_rules()}
