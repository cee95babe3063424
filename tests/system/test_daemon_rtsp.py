"""The whole daemon with a network camera and a broker that fail, and another camera that does not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("av", reason="PyAV encodes the clip; install edged[dev]")
pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime; install edged[cpu]")

from edged.app import started_daemon
from edged.config.tree import Config
from edged.daemon import Daemon
from tests.support.mqtt import Listener, Mosquitto
from tests.support.recorded import video
from tests.support.waiting import until
from tools.rtsp_server import RtspServer, encode, serving

Listen = Callable[..., Listener]

GATE = "edged/box/cam/gate/"
BARN = "edged/box/cam/barn/"
BARN_HZ = 5.0


@pytest.fixture(scope="module")
def server() -> Iterator[RtspServer]:
    with serving(encode(rate_hz=10)) as server:
        yield server


@pytest.fixture
def running(mosquitto: Mosquitto, server: RtspServer, tmp_path: Path) -> Iterator[Daemon]:
    """A network camera `gate` and a looping clip `barn`; at the end, the counts of both are balanced."""
    stop = threading.Event()
    with started_daemon(Config.model_validate(settings(mosquitto, server, video(tmp_path / "clip.mp4", 50)))) as made:
        loop = threading.Thread(target=made.run, args=(stop,))
        loop.start()
        try:
            yield made
        finally:
            stop.set()
            loop.join(10)
    counts = [view.counts for view in made.cameras().values()]
    assert [(camera.balanced, camera.waiting) for camera in counts] == [(True, 0)] * 2


def settings(mosquitto: Mosquitto, server: RtspServer, clip: Path) -> dict[str, Any]:
    quick = {"open_timeout_s": 5, "frame_timeout_s": 1, "retry_max_s": 0.2}
    return {
        "device": {"id": "box", "state_dir": str(clip.parent)},
        "mqtt": {"port": mosquitto.port, "reconnect_max_s": 1},
        "cameras": {
            "gate": {"source": server.url, **quick},
            "barn": {"source": str(clip), "loop": True, "fps": BARN_HZ},
        },
    }


def more(listener: Listener, topic: str, count: int = 3) -> None:
    """Wait for further messages."""
    before = len(listener.bodies(topic))
    until(lambda: len(listener.bodies(topic)) >= before + count)


def test_stalled_and_dead_camera_are_lost_and_the_other_keeps_its_rate(
    mosquitto: Mosquitto, server: RtspServer, running: Daemon, listen: Listen
) -> None:
    listener = listen(mosquitto.port)
    more(listener, GATE + "poses")
    more(listener, BARN + "poses")
    server.stalled = True
    until(lambda: listener.states(GATE + "status")[-1] == "lost")
    more(listener, BARN + "poses")
    server.stalled = False
    until(lambda: listener.states(GATE + "status")[-1] == "online")
    more(listener, GATE + "poses")
    server.stop()
    until(lambda: listener.states(GATE + "status")[-1] == "lost")
    more(listener, BARN + "poses", count=10)
    server.start()
    until(lambda: listener.states(GATE + "status")[-1] == "online")
    more(listener, GATE + "poses")
    times_ms = [body["ts"] for body in listener.bodies(BARN + "poses")]
    assert np.median(np.diff(times_ms)) < 1000, "a loop that waits for the other camera waits a second each time"
    assert "lost" not in listener.states(BARN + "status")


def test_poses_are_published_again_after_the_broker_died(
    mosquitto: Mosquitto, server: RtspServer, running: Daemon, listen: Listen
) -> None:
    more(listen(mosquitto.port), GATE + "poses")
    mosquitto.kill()
    until(lambda: not running.mqtt_stats["connected"])
    captured = running.cameras()["gate"].counts.captured
    until(lambda: running.cameras()["gate"].counts.captured > captured + 5)
    mosquitto.start()
    listener = listen(mosquitto.port)
    more(listener, GATE + "poses")
    until(lambda: listener.states("edged/box/status")[-1:] == ["online"])
    until(lambda: listener.states(GATE + "status")[-1:] == ["online"])
