"""From what the cameras show to the states, daily totals and alerts that are published."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from time import monotonic_ns
from typing import Any, cast

import pytest

from edged.behaviour.horse.stall_monitors import StallMonitors
from edged.behaviour.monitor import CameraReading, SceneMonitor, observe
from edged.capture.camera import CameraPhase, CameraState
from edged.frame import FrameResult, ImageQuality
from edged.messages import build
from edged.messages.build import HeaderFactory
from edged.mqtt.memory_bus import MemoryBus
from edged.units import ns
from tests.unit.test_message_build import result, subject

CLEAR = ImageQuality(brightness=100, contrast=100, sharpness=1)
DARK = ImageQuality(brightness=1, contrast=1, sharpness=0, degraded=("dark",))


class SyncedClock:
    synced = True

    def utc_ms(self, monotonic_ns: int) -> int:
        return monotonic_ns // 1_000_000


class Stage:
    """Two cameras, `stall` and `yard`, that show what a test wants, polled every half second."""

    def __init__(self, folder: Path) -> None:
        headers = HeaderFactory(SyncedClock())
        self.bus = MemoryBus(lambda state: build.device_status(headers, state))
        self.readings: dict[str, CameraReading] = {}
        self.now_ns = monotonic_ns()
        self.failures: dict[str, str] = {}  # of the last poll
        self.monitor = SceneMonitor(
            self.bus,
            headers,
            lambda: self.readings,
            {"stall": ("horse", "person"), "yard": ("horse",)},
            stalls=StallMonitors({}, 0.3, folder / "state"),
            state_file=folder / "state" / "days.json",
            daily_s=900,
        )

    def show(self, seconds: float, *labels: str, phase: CameraPhase = "online", quality: ImageQuality = CLEAR) -> None:
        """`stall` shows one subject of each label; `yard` shows a horse."""
        for _ in range(round(2 * seconds)):
            self.now_ns += ns(0.5)
            yard = replace(detected(self.now_ns, CLEAR, "horse"), camera="yard")
            self.readings = {
                "stall": (status(phase, "unplugged"), detected(self.now_ns, quality, *labels)),
                "yard": (replace(status("online"), camera="yard"), yard),
            }
            self.failures = self.monitor.poll(self.now_ns)

    def published(self, topic: str, camera: str = "stall") -> list[Any]:
        return self.bus.messages_on(f"cam/{camera}/{topic}")


def status(phase: CameraPhase, reason: str = "") -> CameraState:
    return CameraState(camera="stall", phase=phase, reason=reason, since_ns=0)


def detected(done_ns: int, quality: ImageQuality, *labels: str) -> FrameResult:
    subjects = (subject(id=i, label=label) for i, label in enumerate(labels, 1))
    return result(*subjects, done_ns=done_ns, quality=quality)


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


def test_old_result_leaves_the_view_unknown() -> None:
    assert observe(status("online"), detected(0, CLEAR, "horse"), ("horse",), ns(6)).view == "unknown"


def test_degraded_image_is_observed_with_its_faults_and_without_counts() -> None:
    observation = observe(status("online"), detected(0, DARK), ("horse",), 0)
    assert (observation.view, observation.degraded, observation.counts) == ("degraded", ("dark",), None)


def test_fault_in_one_camera_names_it_and_the_others_go_on(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
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


def test_camera_whose_fault_has_passed_goes_on(stage: Stage) -> None:
    stage.show(10, "horse", quality=cast("ImageQuality", None))
    stage.show(10, "horse")
    assert stage.failures == {}
    assert [body["counts"] for body in stage.published("state")] == [{"horse": 1, "person": 0}]


def test_day_goes_on_after_a_restart(stage: Stage, tmp_path: Path) -> None:
    stage.show(600, "horse")
    stage.monitor.save()
    again = Stage(tmp_path)
    again.show(950, "horse")
    assert again.published("daily")[0]["presence_minutes"]["horse"] == pytest.approx(25, abs=0.3)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"stall": 3}', '{"stall": {"nonsense": 1}}'])
def test_torn_state_file_costs_the_day_and_is_logged(
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
