"""Builds the messages of behaviour: state, daily totals, alerts.

Upstream: the monitors. Downstream: the bus. Pure, but for the message numbers.
"""

from __future__ import annotations

from typing import get_args

from edged.behaviour.alerts import Alert
from edged.behaviour.daily import DailyTotals
from edged.behaviour.horse.day_log import StallDay
from edged.behaviour.horse.gait import GaitDay
from edged.behaviour.types import SceneState, StallState, View
from edged.messages import schema, topics
from edged.messages.build import HeaderFactory, new_id
from edged.units import S_PER_MIN

VIEWS: tuple[View, ...] = get_args(View)


def state_message(
    headers: HeaderFactory, camera: str, scene: SceneState, alerts: tuple[Alert, ...], changed_ns: int
) -> schema.State:
    """The `state` message; `changed_ns`: when the scene or an alert changed, CLOCK_MONOTONIC."""
    return {
        **headers(topics.STATE.at(camera=camera), changed_ns),  # type: ignore[typeddict-item]  # see build.poses
        "id": new_id(),
        "camera": camera,
        "view": scene.view,
        "degraded": list(scene.degraded),
        "counts": None if scene.counts is None else dict(scene.counts),
        "alert_ids": [alert.id for alert in alerts],
        "alerts": [_open_alert(headers, alert) for alert in alerts],
        "stall": None if scene.stall is None else stall_state(scene.stall),
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
    """The `daily` message of one local date, in minutes."""
    return {
        **headers(topics.DAILY.at(camera=camera)),  # type: ignore[typeddict-item]  # see build.poses
        "id": new_id(),
        "camera": camera,
        "date": totals.date,
        "closed": closed,
        "view_minutes": {view: _minutes(totals.view_s.get(view, 0.0)) for view in VIEWS},
        "presence_minutes": {label: _minutes(seconds) for label, seconds in totals.present_s.items()},
        "max_count": dict(totals.max_count),
        "stall": None if stall is None else _stall_day(stall),
        "gait": None if gait is None else _gait(gait),
    }


def alert_message(headers: HeaderFactory, alert: Alert) -> schema.Alert:
    """The `alert` message of one stage. `id` is the message's; `alert_id` stays from the opening to the closing."""
    evidence = alert.evidence
    body: schema.Alert = {
        **headers(topics.ALERT.at(camera=alert.camera)),  # type: ignore[typeddict-item]  # see build.poses
        "id": new_id(),
        "alert_id": alert.id,
        "camera": alert.camera,
        "event_type": alert.rule.kind,
        "stage": alert.stage,
        "severity": alert.rule.severity,
        "since_ts": headers.utc_ms(alert.since_ns),
        "duration_s": round(alert.duration_s),
        "reason": f"{alert.reason}; nobody can see it now: {alert.unseen}" if alert.unseen else alert.reason,
        "evidence": None if evidence is None else dict(evidence.values),
        "coverage": None if evidence is None else evidence.coverage,
        "reminders": alert.reminders,
    }
    if alert.rule.is_test:
        body["test"] = True
    return body


def _open_alert(headers: HeaderFactory, alert: Alert) -> schema.OpenAlert:
    return {
        "alert_id": alert.id,
        "event_type": alert.rule.kind,
        "stage": alert.stage,  # type: ignore[typeddict-item]  # an open alert is not closed
        "severity": alert.rule.severity,
        "since_ts": headers.utc_ms(alert.since_ns),
        "reason": alert.reason,
    }


def stall_state(stall: StallState) -> schema.StallState:
    """The part of the `state` message that is about a stall."""
    return {
        "posture": stall.posture,
        "head_height": stall.head_height,
        "behaviours": list(stall.behaviours),
        "zone": stall.zone,
        "horse_count": stall.horses,
        "person_present": stall.person_present,
        "foal_posture": stall.foal_posture,
    }


def _stall_day(day: StallDay) -> schema.StallDay:
    totals = {name: day.total(name) for name in sorted({name for hour in day.hours for name in hour})}
    return {
        "minutes": {name.removesuffix("-s"): _minutes(total) for name, total in totals.items() if name.endswith("-s")},
        "event_counts": {name: round(total) for name, total in totals.items() if not name.endswith("-s")},
        "observed_minutes": _minutes(day.observed_s),
        "lying_bouts": day.bouts,
        "longest_lying_minutes": day.longest_min,
    }


def _gait(day: GaitDay) -> schema.Gait:
    return {"passages": len(day.passages), **day.trend()}  # type: ignore[typeddict-item]  # `trend` has the other keys


def _minutes(seconds: float) -> float:
    return round(seconds / S_PER_MIN, 1)
