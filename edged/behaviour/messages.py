"""The `state`, `daily` and `alert` messages, as plain data ready to be JSON.

Upstream: `monitor`. Downstream: the bus. Pure, but for the message numbers.
"""

from __future__ import annotations

from typing import get_args

from edged.behaviour.alerts import Alert
from edged.behaviour.daily import DailyTotals
from edged.behaviour.horse.aisle import GaitDay
from edged.behaviour.horse.day_log import StallDay
from edged.behaviour.horse.stall_monitor import StallState
from edged.behaviour.presence import SceneState, View
from edged.messages import schema, topics
from edged.messages.build import HeaderFactory, new_id
from edged.units import S_PER_MIN

VIEWS: tuple[View, ...] = get_args(View)


def state_message(headers: HeaderFactory, camera: str, scene: SceneState, alert_ids: tuple[str, ...]) -> schema.State:
    """What a camera shows since `scene.since_ns`, and the ids of its open alerts."""
    return {
        **headers(topics.STATE.at(camera=camera), scene.since_ns),  # type: ignore[typeddict-item]  # optional field
        "id": new_id(),
        "camera": camera,
        "view": scene.view,
        "degraded": list(scene.degraded),
        "present": None if scene.counts is None else dict(scene.counts),
        "alerts": list(alert_ids),
        "stall": None if scene.stall is None else _stall_state(scene.stall),
    }


def daily_message(
    headers: HeaderFactory,
    camera: str,
    totals: DailyTotals,
    *,
    stall: StallDay | None = None,
    gait: GaitDay | None = None,
    closed: bool,
) -> schema.Daily:
    """One local day of a camera in minutes. Minutes that were not observed are in no total."""
    return {
        **headers(topics.DAILY.at(camera=camera)),  # type: ignore[typeddict-item]  # optional field
        "id": new_id(),
        "camera": camera,
        "date": totals.date,
        "closed": closed,
        "view_min": {view: _minutes(totals.view_s.get(view, 0.0)) for view in VIEWS},
        "present_min": {label: _minutes(seconds) for label, seconds in totals.present_s.items()},
        "most": dict(totals.most),
        "stall": None if stall is None else _stall_day(stall),
        "gait": None if gait is None else _gait(gait),
    }


def alert_message(headers: HeaderFactory, alert: Alert) -> schema.Alert:
    """One stage of an alert. `id` is the message's own; the alert's id stays from its opening to its closing."""
    evidence = alert.evidence
    return {
        **headers(topics.ALERT.at(camera=alert.camera)),  # type: ignore[typeddict-item]  # optional field
        "id": new_id(),
        "alert": alert.id,
        "camera": alert.camera,
        "event_type": alert.rule.kind,
        "stage": alert.stage,
        "severity": alert.rule.severity,
        "since": headers.utc_ms(alert.since_ns),
        "held_s": round(alert.duration_s),
        "reason": alert.reason,
        "evidence": None if evidence is None else dict(evidence.values),
        "coverage": None if evidence is None else evidence.coverage,
        "reminders": alert.reminders,
    }


def _stall_state(state: StallState) -> schema.StallState:
    return {
        "posture": state.posture,
        "head": state.head_height,
        "doing": list(state.behaviours),
        "at": state.zone,
        "horses": state.horses,
        "person": state.person_present,
        "foal": state.foal_posture,
    }


def _stall_day(day: StallDay) -> schema.StallDay:
    totals = {name: day.total(name) for name in sorted({name for hour in day.hours for name in hour})}
    return {
        "minutes": {name.removesuffix("-s"): _minutes(total) for name, total in totals.items() if name.endswith("-s")},
        "counts": {name: round(total) for name, total in totals.items() if not name.endswith("-s")},
        "seen_min": _minutes(day.observed_s),
        "bouts": day.bouts,
        "longest_min": day.longest_min,
    }


def _gait(day: GaitDay) -> schema.Gait:
    return {"passages": len(day.passages), **day.trend()}  # type: ignore[typeddict-item]  # the trend's keys are its


def _minutes(seconds: float) -> float:
    return round(seconds / S_PER_MIN, 1)
