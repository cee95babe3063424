"""What systemd hears of a daemon from its start to its end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime; install edged[cpu]")

from tests.integration.recorded import LIMIT_S, video
from tests.system.conftest import free_port, until
from tests.system.ear import NotifiedDaemon, broker, camera


@pytest.fixture
def site(tmp_path: Path) -> Iterator[NotifiedDaemon]:
    with ExitStack() as stack:
        yield NotifiedDaemon(tmp_path, stack)


def test_it_says_when_it_is_ready_when_it_takes_long_and_when_it_stops(site: NotifiedDaemon, tmp_path: Path) -> None:
    keys = broker(free_port()) + camera(video(tmp_path / "clip.mp4"))
    process = site.start(keys)
    until(lambda: site.has_notified("1 of 1 cameras online"))
    site.configure(keys + "publish.health_interval_s = 7\n")
    process.send_signal(signal.SIGHUP)
    until(lambda: site.has_notified("STATUS=taking up a change"))
    process.terminate()
    process.communicate(timeout=LIMIT_S)
    site.has_notified("anything more")
    told = [said.split("\n") for said in site.notifications]
    loading, _, ready = told[:3]
    assert loading == ["STATUS=loading models", "EXTEND_TIMEOUT_USEC=300000000", "WATCHDOG_USEC=300000000"]
    assert ready == ["READY=1"]
    assert told[3:].count(["WATCHDOG=1"]) >= 1
    assert ["STATUS=taking up a change", "EXTEND_TIMEOUT_USEC=120000000", "WATCHDOG_USEC=120000000"] in told
    assert told[-1] == ["STOPPING=1", "STATUS=stopping"]
