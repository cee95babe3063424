"""The messages of behaviour, field by field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("jsonschema", reason="needs jsonschema; install edged[dev]")

from edged.behaviour.alert_rules import CAMERA_RULES, AlertEvidence
from edged.behaviour.alerts import Alert
from edged.behaviour.daily import DailyTotals
from edged.behaviour.horse.day_log import StallDay
from edged.behaviour.horse.gait import GaitDay
from edged.behaviour.messages import alert_message, daily_message, state_message
from edged.behaviour.types import SceneState, StallState
from edged.messages.build import HeaderFactory, encode
from tests.support.clock import MS, FixedOffsetClock
from tests.support.schema import schema_errors

HEADER = {"v", "ts", "time_synced", "seq", "id"}


@pytest.fixture
def headers() -> HeaderFactory:
    return HeaderFactory(FixedOffsetClock())


def content(path: str, message: Mapping[str, Any]) -> dict[str, Any]:
    """The body as a subscriber reads it, without its header; it conforms to the schema of its topic."""
    body = json.loads(encode(message))
    assert schema_errors(path, body) == []
    assert body.keys() >= HEADER
    return {key: value for key, value in body.items() if key not in HEADER}


def scene(**changes: Any) -> SceneState:
    plain: dict[str, Any] = {"view": "ok", "degraded": (), "counts": {"horse": 1, "person": 2}, "since_ns": 500 * MS}
    return SceneState(**{**plain, **changes})


def test_state_of_a_camera_without_a_stall_counts_every_class(headers: HeaderFactory) -> None:
    lost, dirty = (
        Alert(id=f"e{i}", camera="yard", rule=rule, stage="open", since_ns=i * MS, reason="unplugged")
        for i, rule in ((0, CAMERA_RULES[0]), (4, CAMERA_RULES[-1]))
    )
    body = state_message(headers, "yard", scene(), (lost, replace(dirty, stage="acknowledged")), 500 * MS)
    assert content("cam/yard/state", body) == {
        "camera": "yard",
        "view": "ok",
        "degraded": [],
        "counts": {"horse": 1, "person": 2},
        "alert_ids": ["e0", "e4"],
        "alerts": [
            {
                "alert_id": "e0",
                "event_type": "camera-lost",
                "stage": "open",
                "severity": "critical",
                "since_ts": 9000,
                "reason": "unplugged",
            },
            {
                "alert_id": "e4",
                "event_type": "camera-dirty",
                "stage": "acknowledged",
                "severity": "warning",
                "since_ts": 9004,
                "reason": "unplugged",
            },
        ],
        "stall": None,
    }
    assert body["ts"] == 9500


def test_state_of_a_stall_has_its_horse_and_people(headers: HeaderFactory) -> None:
    stall = StallState(
        posture="sternal",
        head_height="below",
        behaviours=("paw",),
        zone="feeder",
        horses=1,
        person_present=True,
        foal_posture="lateral",
    )
    body = content("cam/stall/state", state_message(headers, "stall", scene(stall=stall), (), 500 * MS))
    assert body["stall"] == {
        "posture": "sternal",
        "head_height": "below",
        "behaviours": ["paw"],
        "zone": "feeder",
        "horse_count": 1,
        "person_present": True,
        "foal_posture": "lateral",
    }


def test_state_of_a_lost_camera_has_no_counts(headers: HeaderFactory) -> None:
    body = content("cam/yard/state", state_message(headers, "yard", scene(view="lost", counts=None), (), 500 * MS))
    assert (body["view"], body["counts"]) == ("lost", None)


def test_daily_totals_are_minutes(headers: HeaderFactory) -> None:
    totals = DailyTotals(date="2026-03-01")
    totals.add("ok", {"horse": 2, "person": 0}, 90.0)
    totals.add("lost", None, 30.0)
    assert content("cam/yard/daily", daily_message(headers, "yard", totals, closed=True)) == {
        "camera": "yard",
        "date": "2026-03-01",
        "closed": True,
        "view_minutes": {"ok": 1.5, "degraded": 0.0, "lost": 0.5, "unknown": 0.0},
        "presence_minutes": {"horse": 1.5},
        "max_count": {"horse": 2, "person": 0},
        "stall": None,
        "gait": None,
    }


def test_day_of_a_stall_separates_minutes_and_event_counts(headers: HeaderFactory) -> None:
    day = StallDay("2026-03-01", bouts=3, longest_min=42.5)
    day.add(7, {"standing-s": 90.0, "lie-down": 1.0})
    day.add(8, {"sternal-s": 30.0, "lie-down": 2.0})
    body = daily_message(headers, "stall", DailyTotals(date=day.date), stall=day, closed=False)
    assert content("cam/stall/daily", body)["stall"] == {
        "minutes": {"standing": 1.5, "sternal": 0.5},
        "event_counts": {"lie-down": 3},
        "observed_minutes": 2.0,
        "lying_bouts": 3,
        "longest_lying_minutes": 42.5,
    }


def test_day_of_an_aisle_has_the_medians_of_its_passages(headers: HeaderFactory) -> None:
    passages: list[dict[str, float | None]] = [
        {"stride_hz": hz, "body_lengths_per_s": 0.8, "fore_ratio": None, "hind_ratio": 1.0} for hz in (0.9, 1.1, 1.3)
    ]
    body = daily_message(
        headers, "aisle", DailyTotals(date="2026-03-01"), gait=GaitDay("2026-03-01", passages), closed=False
    )
    gait = {"passages": 3, "stride_hz": 1.1, "body_lengths_per_s": 0.8, "fore_ratio": None, "hind_ratio": 1.0}
    assert content("cam/aisle/daily", body)["gait"] == gait


def test_alert_has_its_id_begin_duration_and_evidence(headers: HeaderFactory) -> None:
    alert = Alert(
        id="e1",
        camera="stall",
        rule=CAMERA_RULES[0],
        stage="acknowledged",
        since_ns=700 * MS,
        reason="unplugged",
        duration_s=61.4,
        evidence=AlertEvidence(values={"paw": 4.0}, coverage=0.9),
        reminders=2,
    )
    assert content("cam/stall/alert", alert_message(headers, alert)) == {
        "alert_id": "e1",
        "camera": "stall",
        "event_type": "camera-lost",
        "stage": "acknowledged",
        "severity": "critical",
        "since_ts": 9700,
        "duration_s": 61,
        "reason": "unplugged",
        "evidence": {"paw": 4.0},
        "coverage": 0.9,
        "reminders": 2,
    }


def test_reminder_of_an_alert_that_nobody_can_see_says_so(headers: HeaderFactory) -> None:
    alert = Alert(
        id="e1",
        camera="stall",
        rule=CAMERA_RULES[0],
        stage="open",
        since_ns=0,
        reason="rolled",
        unseen="the image is dark",
    )
    assert alert_message(headers, alert)["reason"] == "rolled; nobody can see it now: the image is dark"
