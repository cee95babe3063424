"""An alert that is open survives the end of its process: same id, same stage, closed when its condition is over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edged.behaviour import monitor
from edged.behaviour.alert_rules import CAMERA_RULES
from edged.behaviour.alert_store import AlertStore
from edged.behaviour.alerts import Alert
from edged.runtime import boot
from edged.runtime.json_state import JsonState
from edged.units import NS_PER_MS, ns
from tests.support.scene import Stage, status

HOUR_NS = ns(3600)
LOST = Alert(
    id="a1", camera="stall", rule=CAMERA_RULES[0], stage="open", since_ns=HOUR_NS, reason="cut", published_ns=HOUR_NS
)


class Lives:
    """One state directory, and the daemons that use it one after the other. None is ever closed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.stages: list[Stage] = []
        self.restart()

    def restart(self) -> Stage:
        self.stages.append(Stage(self._folder))
        return self.now

    @property
    def now(self) -> Stage:
        return self.stages[-1]

    @property
    def alerts(self) -> list[dict[str, Any]]:
        return [message for stage in self.stages for message in stage.published("alert")]

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(message["event_type"], message["stage"]) for message in self.alerts]


@pytest.fixture
def lives(tmp_path: Path) -> Lives:
    return Lives(tmp_path)


def test_open_alert_goes_on_after_a_kill_and_closes_with_its_id(lives: Lives) -> None:
    lives.now.show(90, phase="lost")
    lives.restart().show(90, phase="lost")
    lives.restart().show(30, "horse")
    assert lives.told == [("camera-lost", "open"), ("camera-lost", "closed")]
    assert len({alert["alert_id"] for alert in lives.alerts}) == 1


def test_restored_alert_is_in_the_first_state(lives: Lives) -> None:
    lives.now.show(90, phase="lost")
    lives.restart().show(1, phase="lost")
    assert lives.now.published("state")[0]["alert_ids"] == [lives.alerts[0]["alert_id"]]


def test_camera_that_connects_after_a_restart_does_not_close_its_alert(lives: Lives) -> None:
    lives.now.show(90, phase="lost")
    stage = lives.restart()
    stage.readings = {"stall": (status("connecting"), None)}
    for second in range(60):
        stage.monitor.poll(stage.now_ns + ns(second))
    stage.now_ns += ns(60)
    stage.show(90, phase="lost")
    assert lives.told == [("camera-lost", "open")]


def test_acknowledged_alert_stays_so_after_a_kill(lives: Lives) -> None:
    lives.now.show(90, phase="lost")
    (opened,) = lives.alerts
    lives.now.monitor.alerts.acknowledge(opened["alert_id"], lives.now.now_ns)
    lives.now.show(1, phase="lost")
    lives.restart().show(90, phase="lost")
    assert lives.told == [("camera-lost", "open"), ("camera-lost", "acknowledged")]
    assert lives.now.published("state")[0]["alerts"][0]["stage"] == "acknowledged"


def test_snoozed_alert_rings_at_its_time_after_a_kill(lives: Lives) -> None:
    lives.now.show(90, phase="lost")
    lives.now.monitor.alerts.snooze(lives.alerts[0]["alert_id"], 2, lives.now.now_ns)
    lives.now.show(1, phase="lost")
    lives.restart().show(100, phase="lost")
    assert [stage for _, stage in lives.told] == ["open", "snoozed"]
    lives.now.show(30, phase="lost")
    assert [stage for _, stage in lives.told] == ["open", "snoozed", "open"]


def test_alert_of_a_camera_that_is_gone_closes_at_the_start(lives: Lives, tmp_path: Path) -> None:
    lives.now.show(90, phase="lost")
    file = tmp_path / "state" / monitor.ALERTS_FILE
    file.write_text(file.read_text().replace('"camera": "stall"', '"camera": "paddock"'))
    lives.restart()
    (closed,) = lives.now.published("alert", "paddock")
    assert (closed["stage"], closed["alert_id"]) == ("closed", lives.alerts[0]["alert_id"])


def test_stage_that_the_bus_had_not_stored_is_published_again_with_its_id(lives: Lives) -> None:
    lives.now.bus.unwritten = 1
    lives.now.show(90, phase="lost")
    lives.restart()
    assert lives.alerts[0] == lives.alerts[1]
    lives.now.show(1, phase="lost")
    lives.restart()
    assert len(lives.alerts) == 2


def test_state_after_an_alert_has_the_time_of_the_alert(lives: Lives) -> None:
    lives.now.show(90, phase="lost")
    before, after = lives.now.published("state")[-2:]
    assert after["alert_ids"] != before["alert_ids"] == []
    assert after["ts"] - before["ts"] == pytest.approx(60_000, abs=1000)


@pytest.mark.parametrize("shift_h", [0, 48, -48], ids=["right", "ahead", "not set yet"])
def test_times_go_on_after_another_boot(tmp_path: Path, shift_h: int) -> None:
    file = tmp_path / "alerts.json"
    AlertStore(file, lambda at_ns: at_ns // NS_PER_MS, "boot 1").put(LOST, {"camera": "stall"}, lambda: None)
    reset_ns, now_ns = HOUR_NS - ns(60), ns(30)  # the new boot's clock began 30 s ago, and a minute has passed
    again = AlertStore(file, lambda at_ns: (at_ns + reset_ns + shift_h * HOUR_NS + ns(90)) // NS_PER_MS, "boot 2")
    (alert,), _ = again.load(now_ns)
    elapsed_s = {0: 60, 48: 60 + 48 * 3600, -48: 0}[shift_h]
    assert (now_ns - alert.since_ns) == ns(elapsed_s)


@pytest.mark.parametrize(
    "damage", ["[]", "{}", '{"alerts": [{}]}', '{"alerts": [3], "now_ns": 1, "utc_ms": 1, "boot_id": ""}']
)
def test_damaged_file_is_logged_and_begins_again(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / monitor.ALERTS_FILE).write_text(damage)
    lives = Lives(tmp_path)
    lives.now.show(90, phase="lost")
    assert lives.told == [("camera-lost", "open")]
    assert "alerts.json" in caplog.text


def test_alert_of_an_unknown_kind_is_closed_at_the_start(lives: Lives, tmp_path: Path) -> None:
    lives.now.show(90, phase="lost")
    file = tmp_path / "state" / monitor.ALERTS_FILE
    file.write_text(file.read_text().replace("camera-lost", "of-yesterday"))
    lives.restart()
    assert lives.told[1:] == [("of-yesterday", "closed")]


def test_store_that_knows_no_boot_still_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot, "BOOT_ID", tmp_path / "none")
    store = AlertStore(tmp_path / "alerts.json", lambda at_ns: at_ns // NS_PER_MS)
    store.put(LOST, {"camera": "stall"}, lambda: None)
    assert store.load(HOUR_NS)[0] == [LOST]
    assert JsonState(tmp_path / "alerts.json", "x").read(lambda saved: saved["boot_id"], None) == ""
