"""Prometheus metrics of what the cameras see: subjects, the horse of a stall, its day, open alerts.

Upstream: the latest `state` message of each camera, and the days of the stalls. Downstream: `prometheus`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import get_args

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from edged.behaviour.horse.day_log import StallDay
from edged.behaviour.horse.horse import WHILE_LYING, WHILE_STANDING
from edged.behaviour.types import Posture, View
from edged.messages.schema import StallState, State

BEHAVIOURS = WHILE_STANDING | WHILE_LYING
VIEWS: tuple[View, ...] = get_args(View)
POSTURES: tuple[Posture, ...] = get_args(Posture)
TEXTS = {  # of the metrics below `edged_`, and their labels
    "view": ("1 for the view that the camera has: ok, degraded, lost, unknown.", ("camera", "view")),
    "subjects": ("Subjects of a class; none while the view is not ok.", ("camera", "class")),
    "alerts_open": ("Alerts that have not closed, by kind.", ("camera", "event_type", "severity")),
    "stall_posture": ("1 for the posture of the horse; none while the view is not ok.", ("camera", "posture")),
    "stall_behaviour": (
        "1 for what the horse is doing, else 0; none while the view is not ok.",
        ("camera", "behaviour"),
    ),
    "stall_horses": ("Horses on the floor of the stall.", ("camera",)),
    "stall_person_present": ("1 while a person is in the stall.", ("camera",)),
    "stall_today_seconds": ("Time of the current local day, such as `sternal`, `walking`.", ("camera", "activity")),
    "stall_today_events": ("Events of the current local day, such as `lie-down`.", ("camera", "event")),
}


class SceneCollector(Collector):
    """Reads the states at each scrape. Thread: any."""

    def __init__(self, states: Callable[[], Mapping[str, State]], days_of: Callable[[str], Iterable[StallDay]]) -> None:
        """`days_of` a camera: those of its stall, oldest first."""
        self._states = states
        self._days_of = days_of

    def collect(self) -> Iterable[Metric]:
        families = {name: GaugeMetricFamily(f"edged_{name}", text, labels=of) for name, (text, of) in TEXTS.items()}
        for camera, state in dict(self._states()).items():
            for view in VIEWS:
                families["view"].add_metric([camera, view], float(state["view"] == view))
            for label, count in (state["counts"] or {}).items():
                families["subjects"].add_metric([camera, label], count)
            for kind, severity in {(one["event_type"], one["severity"]) for one in state["alerts"]}:
                count = sum(one["event_type"] == kind for one in state["alerts"])
                families["alerts_open"].add_metric([camera, kind, severity], count)
            if state["stall"] is not None:
                _add_stall(families, camera, state["stall"])
            for day in list(self._days_of(camera))[-1:]:
                _add_day(families, camera, day)
        return families.values()


def _add_stall(families: Mapping[str, GaugeMetricFamily], camera: str, stall: StallState) -> None:
    for posture in POSTURES:
        families["stall_posture"].add_metric([camera, posture], float(stall["posture"] == posture))
    for behaviour in sorted(BEHAVIOURS.union(stall["behaviours"])):
        families["stall_behaviour"].add_metric([camera, behaviour], float(behaviour in stall["behaviours"]))
    families["stall_horses"].add_metric([camera], stall["horse_count"])
    families["stall_person_present"].add_metric([camera], float(stall["person_present"]))


def _add_day(families: Mapping[str, GaugeMetricFamily], camera: str, day: StallDay) -> None:
    for name in sorted({name for hour in list(day.hours) for name in list(hour)}):
        kind = "stall_today_seconds" if name.endswith("-s") else "stall_today_events"
        families[kind].add_metric([camera, name.removesuffix("-s")], day.total(name))
