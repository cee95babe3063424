"""The whole daemon with a jumping wall clock, at a high temperature, and with a GPU that appears late."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime; install edged[cpu]")
pytest.importorskip("amqtt", reason="needs a broker; install edged[broker]")

from edged.app import started_daemon
from edged.config.tree import Config
from edged.device import supervisor, throttle
from edged.device.gpu_wait import GpuWait
from edged.device.sysfs import SysfsSensors
from edged.errors import Fatal
from edged.mqtt.embedded_broker import EmbeddedBroker
from tests.support.mqtt import Listener
from tests.support.recorded import LIMIT_S, video
from tests.support.schema import schema_errors
from tests.support.threads import running
from tests.support.waiting import until

POSES, HEALTH, DAILY = "edged/box/cam/barn/poses", "edged/box/health", "edged/box/cam/barn/daily"
NS_PER_HOUR = 3600 * 10**9


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(0) as broker:
        yield broker


def configured(broker: EmbeddedBroker, folder: Path, **keys: Any) -> Config:
    return Config.model_validate(
        {
            "device": {"id": "box", "state_dir": str(folder / "state")},
            "models": {"store": str(folder / "models")},
            "mqtt": {"host": broker.host, "port": broker.port, "protocol": "3.1.1"},
            "publish": {"health_interval_s": 1, "daily_interval_s": 10},
            "cameras": {"barn": {"source": str(video(folder / "clip.mp4", 20)), "loop": True}},
            **keys,
        }
    )


def fresh(listener: Listener, topic: str, count: int = 3) -> list[dict[str, Any]]:
    """Messages from now on."""
    before = len(listener.bodies(topic))
    until(lambda: len(listener.bodies(topic)) >= before + count, LIMIT_S)
    return listener.bodies(topic)[before:]


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """The wall clock, for everybody in this process, so many nanoseconds away from the true one."""
    really = time.time_ns

    def put(ahead_ns: int) -> None:
        monkeypatch.setattr(time, "time_ns", lambda: really() + ahead_ns)
        monkeypatch.setattr(time, "time", lambda: (really() + ahead_ns) / 1e9)

    return put


def test_wall_clock_jump_changes_timestamps_only(
    broker: EmbeddedBroker, listener: Listener, tmp_path: Path, set_clock: Callable[[int], None]
) -> None:
    now_ns = time.time_ns()
    set_clock(-now_ns + NS_PER_HOUR)
    with started_daemon(configured(broker, tmp_path)) as daemon, running(daemon):
        assert all(body["ts"] < 2 * 3600 * 1000 for body in fresh(listener, POSES))
        for ahead_ns in (0, -3 * NS_PER_HOUR, 49 * 24 * NS_PER_HOUR, 0):
            set_clock(ahead_ns)
            (*_, body) = fresh(listener, POSES, 8)
            assert abs(body["ts"] * 10**6 - now_ns - ahead_ns) < NS_PER_HOUR
            assert 0 < body["latency_ms"] < LIMIT_S * 1000
        (*_, health) = fresh(listener, HEALTH)
        (*_, daily) = fresh(listener, DAILY, 1)
        frames = daemon.cameras()["barn"].counts
    assert listener.states("edged/box/cam/barn/status") == ["connecting", "online"]
    assert 0 <= health["uptime_s"] < 600
    assert health["cameras"]["barn"]["losses_per_h"] == 0
    assert sum(daily["view_minutes"].values()) * 60 < 600
    assert frames.balanced
    assert schema_errors("health", health) == []


def test_hot_device_processes_fewer_frames_and_reports_throttling(
    broker: EmbeddedBroker, listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone = tmp_path / "board/sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "type").write_text("tj-thermal")
    (zone / "temp").write_text("96000")
    monkeypatch.setattr(throttle, "POLL_S", 0.2)
    monkeypatch.setattr(throttle, "SysfsSensors", lambda: SysfsSensors(tmp_path / "board"))
    settings = configured(broker, tmp_path, throttle={"steps_hz": [1], "step_up_s": 1})
    with started_daemon(settings) as daemon, running(daemon):
        until(lambda: any(body["device"]["throttle"] for body in listener.bodies(HEALTH)), LIMIT_S)
        (*_, hot) = fresh(listener, HEALTH)
        first, *_, last = fresh(listener, POSES, 4)
        (zone / "temp").write_text("50000")
        until(lambda: fresh(listener, HEALTH, 1)[-1]["device"]["throttle"] is None, LIMIT_S)
    assert (hot["device"]["throttle"]["max_fps"], hot["device"]["throttle"]["reason"]) == (
        1,
        "96 °C in the hottest zone",
    )
    assert "rate-reduced" in [problem["code"] for problem in hot["problems"]]
    assert last["ts"] - first["ts"] >= 2400  # three frames at 1 Hz, early by half a period at most
    assert schema_errors("health", hot) == []


def test_gpu_that_answers_late_is_reported_missing_and_then_ends_the_daemon(
    broker: EmbeddedBroker, listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = threading.Event()
    monkeypatch.setattr(supervisor, "gpu_missing", lambda here: True)
    monkeypatch.setattr(supervisor, "GpuWait", partial(GpuWait, probe=lambda: "Orin" if there.is_set() else ""))
    with started_daemon(configured(broker, tmp_path)) as daemon:
        timer = threading.Timer(2, there.set)
        timer.start()
        with pytest.raises(Fatal):
            daemon.run(threading.Event())
        timer.join(LIMIT_S)
    problems = [problem["code"] for body in listener.bodies(HEALTH) for problem in body["problems"]]
    assert "gpu-missing" in problems
