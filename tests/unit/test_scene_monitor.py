"""From what the cameras show to the states, daily totals and alerts that are published."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from edged.behaviour.monitor import observe
from edged.config.tables.stall import StallConfig
from edged.frame import ImageQuality
from edged.units import ns
from tests.support.scene import CLEAR, Stage, detected, monitored, status

DARK = ImageQuality(brightness=1, contrast=1, sharpness=0, degraded=("dark",))


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_state_is_published_when_it_changes_and_not_in_between(stage: Stage) -> None:
    stage.show(10, "horse")
    stage.show(10, "horse", "person")
    assert [body["counts"] for body in stage.published("state")] == [
        {"horse": 1, "person": 0},
        {"horse": 1, "person": 1},
    ]


def test_alert_is_published_and_named_in_the_state_until_it_closes(stage: Stage) -> None:
    stage.show(90, phase="lost")
    opened = stage.published("alert")[0]
    assert (opened["event_type"], opened["stage"], opened["reason"]) == ("camera-lost", "open", "unplugged")
    assert stage.published("state")[-1]["alert_ids"] == [opened["alert_id"]]
    stage.show(20, "horse")
    assert stage.published("alert")[-1]["stage"] == "closed"
    assert stage.published("state")[-1]["alert_ids"] == []


def test_running_day_is_published_at_its_period(stage: Stage) -> None:
    stage.show(1000, "horse")
    (day,) = stage.published("daily")
    assert not day["closed"]
    assert day["presence_minutes"]["horse"] == pytest.approx(15, abs=0.2)
    assert day["view_minutes"]["lost"] == 0


@pytest.mark.parametrize("stalls", [{}, {"stall": StallConfig(enabled=True)}], ids=["no stall", "stall"])
def test_bucket_taken_for_a_person_is_nobody_in_a_stall(tmp_path: Path, stalls: dict[str, StallConfig]) -> None:
    stage = Stage(tmp_path, stalls)
    stage.show(1000, "horse", "person")  # which never moves
    (day,) = stage.published("daily")
    assert ("person" in day["presence_minutes"]) == (not stalls)
    assert ("person" in stage.published("state")[-1]["counts"]) == (not stalls)


def test_state_file_that_is_json_and_wrong_is_put_aside_and_the_day_begins(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, wrong = tmp_path / "state" / "days.json", {"stall": {"date": ""}}
    file.parent.mkdir()
    file.write_text(json.dumps(wrong))
    stage = Stage(tmp_path)
    stage.show(10, "horse")
    assert (len(stage.published("state")), stage.failures) == (1, {})
    assert "put aside as days.json.corrupt" in caplog.text
    assert json.loads(file.with_name("days.json.corrupt").read_text()) == wrong


def test_changed_zone_is_taken_up_at_midnight_and_by_a_reload(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr("time.tzset", lambda: read.append("zone"))
    stage.show(10)
    assert len(read) == 1
    stage.now_ns += ns(86_400)
    stage.show(10)
    assert len(read) == 2
    stage.monitor.reconfigure(monitored({"stall": ("horse",)}))
    assert len(read) == 3


def test_old_result_leaves_the_view_unknown() -> None:
    assert observe(status("online"), detected(0, CLEAR, "horse"), ("horse",), ns(6)).view == "unknown"


def test_degraded_image_is_observed_with_its_faults_and_without_counts() -> None:
    observation = observe(status("online"), detected(0, DARK), ("horse",), 0)
    assert (observation.view, observation.degraded, observation.counts) == ("degraded", ("dark",), None)


def test_fault_in_one_camera_names_it_and_spares_the_others(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stage.show(1000, "horse", quality=cast("ImageQuality", None))
    assert set(stage.failures) == {"stall"}
    assert caplog.text.count("camera stall") == 1
    assert stage.published("state") == []
    assert [body["counts"] for body in stage.published("state", "yard")] == [{"horse": 1}]
    assert len(stage.published("daily", "yard")) == 1


def test_alerts_of_other_cameras_open_while_one_camera_fails(stage: Stage) -> None:
    for _ in range(180):
        stage.now_ns += ns(0.5)
        broken = detected(stage.now_ns, cast("ImageQuality", None))
        lost = replace(status("lost", "unplugged"), camera="yard")
        stage.readings = {"stall": (status("online"), broken), "yard": (lost, None)}
        stage.monitor.poll(stage.now_ns)
    assert [body["stage"] for body in stage.published("alert", "yard")] == ["open"]


def test_camera_is_observed_again_after_its_fault(stage: Stage) -> None:
    stage.show(10, "horse", quality=cast("ImageQuality", None))
    stage.show(10, "horse")
    assert stage.failures == {}
    assert [body["counts"] for body in stage.published("state")] == [{"horse": 1, "person": 0}]


def test_daily_totals_continue_after_a_restart(stage: Stage, tmp_path: Path) -> None:
    stage.show(600, "horse")
    stage.monitor.save()
    again = Stage(tmp_path)
    again.show(950, "horse")
    assert again.published("daily")[0]["presence_minutes"]["horse"] == pytest.approx(25, abs=0.3)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"stall": 3}', '{"stall": {"nonsense": 1}}'])
def test_torn_state_file_loses_the_day_and_is_logged(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "state" / "days.json"
    path.parent.mkdir()
    path.write_text(text)
    Stage(tmp_path).show(5, "horse")
    assert str(path) in caplog.text


def test_state_file_that_cannot_be_written_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "state").write_text("a file where a directory should be")
    stage = Stage(tmp_path)
    caplog.clear()
    stage.show(200, "horse")
    assert len([record for record in caplog.records if "days.json" in record.getMessage()]) == 1


def test_state_file_holds_the_totals_of_the_day(stage: Stage, tmp_path: Path) -> None:
    stage.show(120, "horse")
    saved = json.loads((tmp_path / "state" / "days.json").read_text())
    assert saved["stall"]["present_s"]["horse"] > 50


BOTH = {"stall": ("horse", "person"), "yard": ("horse",)}
YARD = {"yard": ("horse",)}


def test_camera_that_was_off_goes_on_with_its_day_and_adds_nothing_meanwhile(stage: Stage) -> None:
    stage.show(300, "horse")
    stage.monitor.reconfigure(monitored(YARD))
    stage.show(300, "horse")
    stage.monitor.save()
    stage.monitor.reconfigure(monitored(BOTH))
    stage.show(310, "horse")
    day = stage.published("daily")[-1]
    assert day["presence_minutes"]["horse"] == pytest.approx(10, abs=0.3)
    assert sum(day["view_minutes"].values()) == pytest.approx(10, abs=0.3)


def test_day_in_which_a_camera_was_switched_off_is_closed_when_it_is_on_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.show(120, "horse")
    date = stage.monitor._date(stage.now_ns)
    stage.monitor.reconfigure(monitored(YARD))
    tomorrow = (datetime.fromisoformat(date) + timedelta(days=1)).date().isoformat()
    monkeypatch.setattr(stage.monitor, "_date", lambda now_ns: tomorrow)
    stage.show(10, "horse")
    assert not stage.published("daily")
    stage.monitor.reconfigure(monitored(BOTH))
    stage.show(1, "horse")
    (day,) = stage.published("daily")
    assert (day["date"], day["closed"]) == (date, True)
    assert day["presence_minutes"]["horse"] == pytest.approx(2, abs=0.1)


def test_day_is_saved_as_closed_once_its_message_is_on_the_disk(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before, the daemon closes it again."""

    def closed() -> list[str]:
        closed_dates: list[str] = json.loads((tmp_path / "state" / "days.json").read_text())["stall"]["closed"]
        return closed_dates

    stage.show(65, "horse")
    date = stage.monitor._date(stage.now_ns)
    tomorrow = (datetime.fromisoformat(date) + timedelta(days=1)).date().isoformat()
    monkeypatch.setattr(stage.monitor, "_date", lambda now_ns: tomorrow)
    stage.bus.unwritten = 1
    stage.show(70, "horse")
    assert stage.published("daily")[-1]["closed"]
    assert closed() == []
    stage.bus.unwritten = 0
    stage.show(0.5, "horse")
    assert closed() == [date]


def test_day_of_a_camera_that_is_off_is_closed_at_midnight_and_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.show(120, "horse")
    date = stage.monitor._date(stage.now_ns)
    stage.monitor.reconfigure(monitored(YARD, off=["stall"]))
    stage.show(10, "horse")
    assert not stage.published("daily")
    tomorrow = (datetime.fromisoformat(date) + timedelta(days=1)).date().isoformat()
    monkeypatch.setattr(stage.monitor, "_date", lambda now_ns: tomorrow)
    stage.show(10, "horse")
    stage.monitor.reconfigure(monitored(BOTH))
    stage.show(1, "horse")
    (day,) = stage.published("daily")
    assert (day["date"], day["closed"]) == (date, True)
    assert day["presence_minutes"]["horse"] == pytest.approx(2, abs=0.1)


def test_day_of_a_camera_that_is_gone_is_forgotten_after_a_month(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "state" / "days.json"
    file.parent.mkdir()
    dates = {"gone": "2026-01-01", "lately": "2026-11-20", "stall": "2026-01-01", "off": "2026-01-01"}
    file.write_text(json.dumps({name: {"date": date} for name, date in dates.items()}))
    stage = Stage(tmp_path)
    monkeypatch.setattr(stage.monitor, "_date", lambda now_ns: "2026-12-01")
    stage.monitor.reconfigure(monitored(BOTH, off=["off"]))
    stage.show(1, "horse")
    stage.monitor.save()
    assert set(json.loads(file.read_text())) == {"lately", "stall", "yard", "off"}


def test_day_that_ends_is_saved_at_once_so_that_a_kill_does_not_end_it_again(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.show(121, "horse")
    date = stage.monitor._date(stage.now_ns)
    tomorrow = (datetime.fromisoformat(date) + timedelta(days=1)).date().isoformat()
    monkeypatch.setattr(stage.monitor, "_date", lambda now_ns: tomorrow)
    stage.show(1, "horse")
    saved = json.loads((tmp_path / "state" / "days.json").read_text())["stall"]
    assert (saved["date"], saved["closed"]) == (tomorrow, [date])


def test_day_that_a_wrong_clock_ended_while_the_camera_was_off_does_not_end_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.show(120, "horse")
    date = datetime.fromisoformat(stage.monitor._date(stage.now_ns))
    stage.monitor.reconfigure(monitored(YARD, off=["stall"]))
    for days in (3, 0, 1, 2):
        shown = (date + timedelta(days=days)).date().isoformat()
        monkeypatch.setattr(stage.monitor, "_date", lambda now_ns, shown=shown: shown)
        stage.show(10, "horse")
        if not days:
            stage.monitor.reconfigure(monitored(BOTH))
            stage.show(60, "horse")
    closed = [body for body in stage.published("daily") if body["closed"]]
    assert [body["date"] for body in closed] == [(date + timedelta(days=days)).date().isoformat() for days in (0, 1)]
    assert [body["presence_minutes"]["horse"] for body in closed] == [
        pytest.approx(2, abs=0.2),
        pytest.approx(1.2, abs=0.2),
    ]


def test_open_alert_closes_when_the_camera_alerts_are_switched_off_and_none_opens(stage: Stage) -> None:
    stage.show(90, phase="lost")
    stage.monitor.reconfigure(monitored(BOTH, alerting=["yard"]))
    stage.show(90, phase="lost")
    assert [body["stage"] for body in stage.published("alert")] == ["open", "closed"]
    assert stage.published("state")[-1]["alert_ids"] == []
    stage.monitor.reconfigure(monitored(BOTH))
    stage.show(90, phase="lost")
    assert [body["stage"] for body in stage.published("alert")] == ["open", "closed", "open"]


def test_open_alert_closes_when_its_camera_is_switched_off(stage: Stage) -> None:
    stage.show(90, phase="lost")
    stage.monitor.reconfigure(monitored(YARD))
    assert [body["stage"] for body in stage.published("alert")] == ["open", "closed"]
