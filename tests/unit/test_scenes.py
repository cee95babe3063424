"""From what the cameras show to what is told about them."""

from __future__ import annotations

import json
from pathlib import Path
from time import monotonic_ns
from typing import Any

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


class Wall:
    """A clock that is set."""

    synced = True

    def utc_ms(self, monotonic_ns: int) -> int:
        return monotonic_ns // 1_000_000


class Stage:
    """One camera, shown as we please, half a second at a time."""

    def __init__(self, folder: Path) -> None:
        stamps = HeaderFactory(Wall())
        self.bus = MemoryBus(lambda state: build.device_status(stamps, state))
        self.glance: CameraReading = (self.state("connecting"), None)
        self.now_ns = monotonic_ns()
        self.scenes = SceneMonitor(
            self.bus,
            stamps,
            lambda: {"stall": self.glance},
            {"stall": ("horse", "person")},
            stalls=StallMonitors({}, 0.3, folder / "state"),
            state_file=folder / "state" / "days.json",
            daily_s=900,
        )

    def state(self, phase: CameraPhase, reason: str = "") -> CameraState:
        return CameraState(camera="stall", phase=phase, reason=reason, since_ns=0)

    def show(self, seconds: float, *labels: str, phase: CameraPhase = "online", quality: ImageQuality = CLEAR) -> None:
        for _ in range(round(2 * seconds)):
            self.now_ns += ns(0.5)
            self.glance = (self.state(phase, "unplugged"), seen(self.now_ns, quality, *labels))
            self.scenes.poll(self.now_ns)

    def told(self, topic: str) -> list[Any]:
        return self.bus.messages_on(f"cam/stall/{topic}")


def seen(done_ns: int, quality: ImageQuality, *labels: str) -> FrameResult:
    subjects = (subject(id=i, label=label) for i, label in enumerate(labels, 1))
    return result(*subjects, done_ns=done_ns, quality=quality)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_a_state_is_told_when_it_changes_and_not_in_between(stage: Stage) -> None:
    stage.show(10, "horse")
    stage.show(10, "horse", "person")
    assert [body["counts"] for body in stage.told("state")] == [
        {"horse": 1, "person": 0},
        {"horse": 1, "person": 1},
    ]


def test_an_alert_is_told_and_named_in_the_state_until_it_closes(stage: Stage) -> None:
    stage.show(90, phase="lost")
    opened = stage.told("alert")[0]
    assert (opened["event_type"], opened["stage"], opened["reason"]) == ("camera-lost", "open", "unplugged")
    assert stage.told("state")[-1]["alert_ids"] == [opened["alert_id"]]
    stage.show(20, "horse")
    assert stage.told("alert")[-1]["stage"] == "closed"
    assert stage.told("state")[-1]["alert_ids"] == []


def test_the_running_day_is_told_at_its_interval(stage: Stage) -> None:
    stage.show(1000, "horse")
    (day,) = stage.told("daily")
    assert not day["closed"]
    assert day["presence_minutes"]["horse"] == pytest.approx(15, abs=0.2)
    assert day["view_minutes"]["lost"] == 0


def test_an_old_result_says_nothing_about_now() -> None:
    online = CameraState(camera="stall", phase="online", reason="", since_ns=0)
    assert observe(online, seen(0, CLEAR, "horse"), ("horse",), ns(6)).view == "unknown"


def test_a_degraded_image_says_what_is_wrong_and_nobody_is_counted() -> None:
    online = CameraState(camera="stall", phase="online", reason="", since_ns=0)
    look = observe(online, seen(0, DARK), ("horse",), 0)
    assert (look.view, look.degraded, look.counts) == ("degraded", ("dark",), None)


def test_a_day_goes_on_after_a_restart(stage: Stage, tmp_path: Path) -> None:
    stage.show(600, "horse")
    stage.scenes.save()
    again = Stage(tmp_path)
    again.show(950, "horse")
    assert again.told("daily")[0]["presence_minutes"]["horse"] == pytest.approx(25, abs=0.3)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"stall": 3}', '{"stall": {"nonsense": 1}}'])
def test_a_torn_memory_costs_the_day_and_nothing_else(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "state" / "days.json"
    path.parent.mkdir()
    path.write_text(text)
    Stage(tmp_path).show(5, "horse")
    assert "totals begin again" in caplog.text


def test_a_memory_that_cannot_be_written_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "state").write_text("a file where a directory should be")
    stage = Stage(tmp_path)
    stage.show(200, "horse")
    assert caplog.text.count("forget today's totals") == 1


def test_what_is_kept_is_whole(stage: Stage, tmp_path: Path) -> None:
    stage.show(120, "horse")
    kept = json.loads((tmp_path / "state" / "days.json").read_text())
    assert kept["stall"]["present_s"]["horse"] > 50
