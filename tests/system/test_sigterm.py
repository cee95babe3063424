"""SIGTERM ends the daemon in time, and orderly, whatever it is in the middle of."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime; install edged[cpu]")

from tests.replay.recorded import LIMIT_S, video
from tests.system.conftest import free_port, until

STOPS_WITHIN_S = 5.0  # 2 s are promised; test machines are busy
needs_builder = pytest.mark.skipif(
    find_spec("tensorrt_rtx_bindings") is None, reason="needs a TensorRT builder; install edged[tensorrt-rtx]"
)


class Site:
    """A daemon that has systemd's ear, and peers that answer nothing."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._heard: list[str] = []
        self._ear = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        self._ear.bind(str(folder / "notify"))
        self._ear.setblocking(False)

    def silent_port(self) -> int:
        """Takes connections, and says nothing."""
        return self._port(backlog=16)

    def deaf_port(self) -> int:
        """Does not even take them: its queue is full."""
        port = self._port(backlog=0)
        for _ in range(4):
            caller = self._stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(("127.0.0.1", port))
        return port

    def start(self, keys: str) -> subprocess.Popen[str]:
        state = f'device.state = "{self._folder}"\nmodels.store = "{self._folder}/models"\n'
        (self._folder / "edged.toml").write_text(state + keys)
        command = [sys.executable, "-m", "edged", "run", "--config", str(self._folder / "edged.toml"), "--quiet"]
        env = {"NOTIFY_SOCKET": str(self._folder / "notify"), "WATCHDOG_USEC": "800000"}
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env)
        self._stack.callback(process.kill)
        return process

    def says(self, text: str) -> bool:
        while True:
            try:
                self._heard.append(self._ear.recv(4096).decode())
            except BlockingIOError:
                return any(text in said for said in self._heard)

    def _port(self, backlog: int) -> int:
        peer = self._stack.enter_context(socket.socket())
        peer.bind(("127.0.0.1", 0))
        peer.listen(backlog)
        return int(peer.getsockname()[1])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(tmp_path, stack)


def camera(source: object) -> str:
    return f'cameras.barn.source = "{source}"\ncameras.barn.loop = {str(not str(source).startswith("rtsp")).lower()}\n'


def broker(port: int) -> str:
    return f"mqtt.port = {port}\n"


BUILDING = 'engines.tensorrt = "tensorrt-rtx"\nengines.level = 5\n'


def end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    begun_s = time.monotonic()
    _, said = process.communicate(timeout=LIMIT_S)
    took_s = time.monotonic() - begun_s
    assert (process.returncode, "Traceback" in said) == (0, False), said
    assert took_s < STOPS_WITHIN_S, said


def test_while_models_are_loaded(site: Site, tmp_path: Path) -> None:
    process = site.start(broker(free_port()) + camera(video(tmp_path / "clip.mp4")))
    until(lambda: site.says("STATUS=loading models"))
    end(process)


def test_without_a_broker(site: Site, tmp_path: Path) -> None:
    process = site.start(broker(free_port()) + camera(video(tmp_path / "clip.mp4")))
    until(lambda: site.says("1 of 1 cameras online; no broker"))
    end(process)


def test_with_a_broker_that_says_nothing(site: Site, tmp_path: Path) -> None:
    process = site.start(broker(site.silent_port()) + camera(video(tmp_path / "clip.mp4")))
    until(lambda: site.says("1 of 1 cameras online; no broker"))
    end(process)


def test_with_a_broker_that_cannot_be_reached(site: Site, tmp_path: Path) -> None:
    process = site.start(broker(site.deaf_port()) + camera(video(tmp_path / "clip.mp4")))
    until(lambda: site.says("1 of 1 cameras online; no broker"))
    end(process)


def test_with_a_camera_that_is_tried_again_and_again(site: Site) -> None:
    process = site.start(broker(free_port()) + camera(f"rtsp://127.0.0.1:{free_port()}/gone"))
    until(lambda: site.says("barn lost: "))
    end(process)


def test_with_a_camera_that_hangs(site: Site) -> None:
    process = site.start(broker(free_port()) + camera(f"rtsp://127.0.0.1:{site.silent_port()}/mute"))
    until(lambda: site.says("barn connecting"))
    end(process)


@needs_builder
def test_while_an_engine_is_built(site: Site, tmp_path: Path) -> None:
    process = site.start(BUILDING + broker(free_port()) + camera(video(tmp_path / "clip.mp4")))
    until(lambda: site.says(" building "))
    end(process)


@needs_builder
def test_in_the_worst_of_states(site: Site) -> None:
    silent = f"rtsp://127.0.0.1:{site.silent_port()}/mute"
    process = site.start(BUILDING + broker(site.silent_port()) + camera(silent))
    until(lambda: site.says("barn connecting; engine"))
    end(process)
