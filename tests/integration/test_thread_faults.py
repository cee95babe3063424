"""A fault in any thread of the daemon: that thread goes on."""

from __future__ import annotations

import io
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import pytest

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime; install edged[cpu]")
pytest.importorskip("amqtt", reason="needs a broker; install edged[broker]")

from edged.app import started_daemon
from edged.capture.sources.rtsp_login import Login
from edged.capture.sources.rtsp_relay import RtspRelay
from edged.commands import live_status, views
from edged.config.tree import Config
from edged.device import gpu_wait, throttle
from edged.device.gpu_wait import GpuWait
from edged.frame_crew import FrameCrew
from edged.messages.bus import Request
from edged.mqtt import homeassistant
from edged.mqtt.embedded_broker import EmbeddedBroker
from edged.mqtt.homeassistant import DiscoveryPublisher
from edged.mqtt.homeassistant_payloads import BIRTH, DiscoveryDevice
from edged.runtime import signals, threads
from edged.runtime.signals import stop_after, stop_on_signals
from edged.runtime.threads import TABLE, SupervisedThread
from tests.support.engine_builds import ScriptedBuilder, started_service
from tests.support.memory_bus import MemoryBus
from tests.support.waiting import until
from tools.fleet.brokers import free_port

LIMIT_S = 30.0  # from a fault to the next round; 10 s are promised, and test machines are slow and busy

Broken = Callable[[], bool]  # whether a round was seen since the fault


def break_once(thread: SupervisedThread) -> Broken:
    """Have its next step fail, once."""
    step, calls = thread.step, list[None]()

    def faulty() -> float | None:
        calls.append(None)
        if len(calls) == 1:
            raise ValueError("injected")
        return step()

    thread.step = faulty
    return lambda: len(calls) > 1


def break_inside_once(thread: SupervisedThread) -> Broken:
    """Have its step fail in the middle, once: it lasts as long as what it serves."""
    progress, calls = thread.progress, list[None]()

    def faulty() -> None:
        calls.append(None)
        if len(calls) == 1:
            raise ValueError("injected")
        progress()

    thread.progress = faulty  # type: ignore[method-assign]
    return lambda: len(calls) > 1


def find(name: str) -> SupervisedThread:
    """The thread of that row, as the watchdog finds it."""
    found: SupervisedThread = until(
        lambda: next((thread for thread in threads.running() if thread.row.name == name), None)
    )
    return found


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One without a broker, whose camera is lost again and again."""
    config = configuration(tmp_path_factory.mktemp("daemon"), free_port())
    with started_daemon(Config.model_validate(config)):
        yield


def configuration(folder: Path, mqtt_port: int) -> dict[str, Any]:
    return {
        "device": {"id": "box", "state_dir": str(folder)},
        "models": {"store": str(folder / "models")},
        "mqtt": {"port": mqtt_port, "reconnect_max_s": 1},
        "publish": {"health_interval_s": 1},
        "throttle": {"steps_hz": [1]},
        "prometheus": {"enabled": True, "port": free_port()},
        "panel": {"enabled": True, "port": 0, "token": "only of this test"},
        "evidence": {"enabled": True},
        "fleet": {"group": "barns"},
        "cameras": {"barn": {"source": "rtsp://127.0.0.1:9/gone", "retry_max_s": 0.5}},
    }


SERVING = "panel"
OF_DAEMON = (
    *("capture", "capture-watch", "mqtt", "store", "behaviour", "health", "throttle", "commands", "prometheus"),
    *("switches", "panel-pictures", "evidence", "fleet", SERVING),
)


@contextmanager
def waiting_for_a_gpu() -> Iterator[Broken]:
    wait = GpuWait(lambda: "")
    wait.start()
    yield break_once(find("gpu-wait"))
    wait.close()


@contextmanager
def building_engines() -> Iterator[Broken]:
    script = ScriptedBuilder()
    service, ready = started_service(script, ValueError("injected"))
    yield lambda: bool(ready)
    service.close()


@contextmanager
def announcing() -> Iterator[Broken]:
    bus = MemoryBus(lambda state: {})
    with TemporaryDirectory() as folder:
        publisher = DiscoveryPublisher(bus, DEVICE, Path(folder) / "announced.json", enabled=True)
        publisher.start()
        bus.receive(Request(path=BIRTH.at(prefix=DEVICE.prefix).path, payload=b"online", retain=False))
        yield break_once(find("discovery"))
        publisher.close()


DEVICE = DiscoveryDevice(
    id="box", base="edged", name="", version="1", health_s=30.0, prefix="homeassistant", cameras={}, alert_kinds={}
)


@contextmanager
def printing_lines() -> Iterator[Broken]:
    with live_status.live(lambda: views.LiveStatus(cameras={}, mqtt=NO_MQTT, scenes={}), io.StringIO()):
        yield break_once(find("terminal"))


NO_MQTT: dict[str, Any] = {"connected": False, "published": 0, "waiting": 0, "dropped": 0}


@contextmanager
def serving_mqtt() -> Iterator[Broken]:
    with EmbeddedBroker(0):
        yield break_inside_once(find("embedded-broker"))


@contextmanager
def stopping_after_a_time() -> Iterator[Broken]:
    stop = threading.Event()
    with stop_after(stop, 0.5, lambda: True):
        break_once(find("stop-after"))
        yield stop.is_set


@contextmanager
def stopping_in_time() -> Iterator[Broken]:
    exits = list[None]()
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setattr(signals, "_exit_now", lambda: exits.append(None))
        stack.enter_context(stop_on_signals(threading.Event(), lambda: None))
        signal.raise_signal(signal.SIGTERM)
        break_once(find("stop-limit"))
        yield lambda: bool(exits)


@contextmanager
def relaying() -> Iterator[Broken]:
    def fail() -> socket.socket:
        raise RuntimeError("injected")

    relay = RtspRelay("rtsp://cam/live", Login("", ""), fail, LIMIT_S)
    address = urlsplit(relay.url)
    with socket.create_connection(("127.0.0.1", address.port or 0)) as viewer:
        viewer.sendall(f"OPTIONS {relay.url} RTSP/1.0\r\nCSeq: 1\r\n\r\n".encode())
        assert viewer.recv(1) == b"", "the viewer opens the stream anew"
    yield lambda: relay.thread.join(0.1) and relay.thread.trouble() is None


@contextmanager
def computing_frames() -> Iterator[Broken]:
    with FrameCrew() as crew:
        crew.run([object] * 2)  # type: ignore[list-item]  # anything is a result here
        broken = break_once(find("frames"))
        yield lambda: broken() and all(done.result() for done in crew.run([object] * 2))  # type: ignore[list-item]


ALONE: dict[str, Callable[[], Any]] = {
    "gpu-wait": waiting_for_a_gpu,
    "frames": computing_frames,
    "engine-builds": building_engines,
    "discovery": announcing,
    "terminal": printing_lines,
    "embedded-broker": serving_mqtt,
    "stop-after": stopping_after_a_time,
    "stop-limit": stopping_in_time,
    "rtsp-relay": relaying,
}


def test_every_thread_of_the_table_is_tried_here() -> None:
    assert {*OF_DAEMON, *ALONE} == {row.name for row in TABLE}


@pytest.fixture(autouse=True)
def short_periods(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "POLL_S", 0.5)
    monkeypatch.setattr(gpu_wait, "BACKOFF_MAX_S", 0.5)
    monkeypatch.setattr(views, "LINE_INTERVAL_S", 0.5)
    monkeypatch.setattr(homeassistant, "BIRTH_DELAY_S", (0.5, 0.5))


@pytest.mark.parametrize("name", OF_DAEMON)
def test_thread_of_the_daemon_continues_after_a_fault(daemon: None, name: str) -> None:
    until((break_inside_once if name == SERVING else break_once)(find(name)), LIMIT_S)


@pytest.mark.parametrize("name", ALONE)
def test_thread_continues_after_a_fault(name: str) -> None:
    with ALONE[name]() as went_on:
        until(went_on, LIMIT_S)


def test_all_threads_of_the_daemon_are_in_the_table(daemon: None) -> None:
    supervised = {thread.name for thread in threads.running()}
    ours = {thread.name for thread in threading.enumerate() if thread is not threading.main_thread()}
    of_requests = {name for name in ours if name.startswith("asyncio_")}  # the page's pool; each ends with its request
    assert ours - of_requests <= supervised


def test_daemon_that_serves_for_longer_than_every_limit_is_not_stuck(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limits are shortened; a step that lasts as long as a connection shows its progress."""
    for row in TABLE:
        monkeypatch.setitem(threads.ROWS, row.name, replace(row, limit_s=row.limit_s and 5.0))
    with EmbeddedBroker(0) as broker:
        config = configuration(tmp_path, broker.port)
        with started_daemon(Config.model_validate(config)) as daemon:
            until(lambda: daemon.mqtt_stats["connected"])
            end_s = time.monotonic() + 12
            while time.monotonic() < end_s:
                assert [str(trouble) for trouble in threads.troubles()] == []
                time.sleep(0.1)
