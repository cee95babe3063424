"""A network camera that plays, stalls, dies, returns and changes: the real adapter and intake."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

pytest.importorskip("av", reason="PyAV encodes the clip; install edged[dev]")
pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")

from edged.capture.camera import CameraState
from edged.capture.hub import CameraHub
from edged.capture.sources.rtsp import RtspCamera
from edged.capture.sources.rtsp_describe import Address, describe
from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost, ConfigError
from tools.rtsp_server import Clip, RtspServer, encode, serving

LIMIT_S = 30.0


@pytest.fixture(scope="module")
def clip() -> Clip:
    return encode()


@pytest.fixture
def server(clip: Clip) -> Iterator[RtspServer]:
    with serving(clip) as server:
        yield server


def settings(server: RtspServer, **keys: object) -> CameraConfig:
    quick = {"open_timeout_s": 5, "frame_timeout_s": 1, "retry_max_s": 0.2}
    return CameraConfig.model_validate({"source": server.url, **quick, **keys})


class Watched:
    """One camera, read as the loop would, with everything it was said to be."""

    def __init__(self, wanted: CameraConfig) -> None:
        self.states: list[CameraState] = []
        self.intake = CameraHub({"cam": (wanted, RtspCamera("cam", wanted))}, self.states.append)

    def frames(self, count: int) -> list[tuple[int, int]]:
        """Sizes of that many frames."""
        sizes: list[tuple[int, int]] = []
        self.until(lambda: self._one(sizes) >= count)
        return sizes

    def _one(self, sizes: list[tuple[int, int]]) -> int:
        with self.intake.lease(0.2) as frame:
            if frame is not None:
                sizes.append((frame.image.shape[1], frame.image.shape[0]))
        return len(sizes)

    def until(self, true: Callable[[], bool]) -> None:
        end_s = time.monotonic() + LIMIT_S
        while not true():
            assert time.monotonic() < end_s, f"waited too long; states: {self.states}"
            time.sleep(0.01)

    def until_phase(self, phase: str) -> str:
        """Wait for a phase; return its reason."""
        self.until(lambda: self.intake.states["cam"].phase == phase)
        return self.intake.states["cam"].reason


@contextmanager
def watched(wanted: CameraConfig) -> Iterator[Watched]:
    watched = Watched(wanted)
    watched.intake.start()
    try:
        yield watched
    finally:
        watched.intake.close()
        assert watched.intake.counts("cam").balanced
        assert watched.intake.counts("cam").waiting == 0


def test_it_plays(server: RtspServer) -> None:
    with watched(settings(server)) as camera:
        assert camera.frames(20) == [(320, 180)] * 20
        assert camera.intake.counts("cam").failed == 0


def test_frames_come_as_they_are_sent_without_a_backlog(server: RtspServer) -> None:
    with watched(settings(server)) as camera:
        camera.frames(15)
        behind = server.played - camera.intake.counts("cam").captured
        assert behind <= 4


def test_a_stall_is_a_loss_by_our_own_clock_and_it_returns(
    server: RtspServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "edged")
    with watched(settings(server)) as camera:
        camera.frames(5)
        server.stalled = True
        assert camera.until_phase("lost") == "no frame for 1 s"
        server.stalled = False
        camera.frames(10)
    assert [state.phase for state in camera.states if state.phase != "lost"] == ["connecting", "online", "online"]
    said = [record for record in caplog.records if record.name == "edged.capture.worker"]
    assert [record.levelname for record in said].count("WARNING") == 1
    assert sum("online again after" in record.message for record in said) == 1


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
def test_a_dropped_connection_is_a_loss_and_it_returns(server: RtspServer, reset: bool) -> None:
    with watched(settings(server)) as camera:
        camera.frames(5)
        server.drop(reset=reset)
        camera.until(lambda: any("broke off" in state.reason for state in camera.states))
        camera.until_phase("online")
        camera.frames(5)


def test_a_dead_camera_says_refused_and_returns_when_it_is_back(server: RtspServer) -> None:
    with watched(settings(server)) as camera:
        camera.frames(5)
        server.stop()
        camera.until(lambda: "connection refused" in camera.intake.states["cam"].reason)
        server.start()
        camera.until_phase("online")
        camera.frames(5)


def test_a_change_of_resolution_is_scaled_to_the_size_it_began_with(server: RtspServer) -> None:
    """FFmpeg in cv2 does that by itself, so that boxes and masks in pixels stay where they were."""
    stream = RtspCamera("cam", settings(server)).open()
    for _ in range(3):
        stream.read(None)
    server.clip = encode((480, 270))
    end_s = time.monotonic() + 3
    while time.monotonic() < end_s:
        image = stream.read(None).image
        assert image.shape == (180, 320, 3)
        assert image[:, :156].mean() < 20
        assert image[:, 164:].mean() > 235
    stream.close()


@pytest.mark.parametrize("digest", [False, True], ids=["basic", "digest"])
def test_a_password_with_odd_characters_opens_and_is_never_logged(
    server: RtspServer, digest: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.login, server.digest = ("admin", "p@ss:w/ord?#%"), digest
    with watched(settings(server, username="admin", password="p@ss:w/ord?#%")) as camera:
        camera.frames(3)
    with watched(settings(server, username="admin", password="wrong-one")) as camera:
        assert "wrong user name or password for 'admin'" in camera.until_phase("lost")
    shown = caplog.text + repr(camera.states)
    assert "p@ss" not in shown
    assert "p%40ss" not in shown
    assert "wrong-one" not in shown


def test_a_camera_that_wants_a_password_says_so(server: RtspServer) -> None:
    server.login = ("admin", "x")
    with pytest.raises(CameraLost, match="wants a user name and password"):
        RtspCamera("cam", settings(server)).open()


def test_a_wrong_path_says_so(server: RtspServer) -> None:
    server.missing = True
    with pytest.raises(CameraLost, match="no such stream; check the path"):
        RtspCamera("cam", settings(server)).open()


def test_a_silent_server_is_told_from_a_dead_one(server: RtspServer) -> None:
    server.mute = True
    with pytest.raises(CameraLost, match=r"no answer within 0\.2 s"):
        describe(Address.from_settings(settings(server)), 0.2)


def test_a_camera_that_stalls_at_once_does_not_hang_the_open_of_another(server: RtspServer, clip: Clip) -> None:
    server.mute = True
    with serving(clip) as good:
        bad_one, good_one = settings(server), settings(good)
        cameras = {
            "bad": (bad_one, RtspCamera("bad", bad_one)),
            "good": (good_one, RtspCamera("good", good_one)),
        }
        intake = CameraHub(cameras, lambda _: None)
        intake.start()
        try:
            for _ in range(5):
                with intake.lease(4.0) as frame:
                    assert frame is not None
                    assert frame.camera == "good"
        finally:
            intake.close()


def test_something_else_on_the_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            connection, _ = listener.accept()
            connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            connection.close()

        threading.Thread(target=greet, daemon=True).start()
        port = listener.getsockname()[1]
        wanted = CameraConfig(source=f"rtsp://127.0.0.1:{port}/live")
        with pytest.raises(CameraLost, match=f"port {port} does not speak RTSP"):
            describe(Address.from_settings(wanted))


def test_an_unknown_host_is_told() -> None:
    with pytest.raises(CameraLost, match=r"no such host as 'camera\.invalid'"):
        describe(Address.from_settings(CameraConfig(source="rtsp://camera.invalid/live")))


def test_a_format_that_is_no_codec_is_a_configuration_error(server: RtspServer) -> None:
    with pytest.raises(ConfigError, match=r"cameras\.cam\.format = mjpg: want auto, h264 or h265"):
        RtspCamera("cam", settings(server, format="mjpg"))
