"""Notifications to systemd from the start of a daemon to its end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime; install edged[cpu]")

from tests.support.recorded import LIMIT_S, video
from tests.support.waiting import until
from tests.system.notified_daemon import NotifiedDaemon, broker, camera
from tools.fleet.brokers import free_port


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[NotifiedDaemon]:
    with ExitStack() as stack:
        yield NotifiedDaemon(tmp_path, stack)


def test_daemon_notifies_ready_long_loading_and_stopping(daemon: NotifiedDaemon, tmp_path: Path) -> None:
    keys = broker(free_port()) + camera(video(tmp_path / "clip.mp4"))
    process = daemon.start(keys)
    until(lambda: daemon.has_notified("1 of 1 cameras online"))
    daemon.configure(keys + "publish.health_interval_s = 7\n")
    process.send_signal(signal.SIGHUP)
    until(lambda: daemon.has_notified("STATUS=applying a change"))
    process.terminate()
    process.communicate(timeout=LIMIT_S)
    daemon.has_notified("anything more")
    notified = [notification.split("\n") for notification in daemon.notifications]
    loading, _, ready = notified[:3]
    assert loading == ["STATUS=loading models", "EXTEND_TIMEOUT_USEC=300000000", "WATCHDOG_USEC=300000000"]
    assert ready == ["READY=1"]
    assert notified[3:].count(["WATCHDOG=1"]) >= 1
    assert ["STATUS=applying a change", "EXTEND_TIMEOUT_USEC=120000000", "WATCHDOG_USEC=120000000"] in notified
    assert notified[-1] == ["STOPPING=1", "STATUS=stopping"]
