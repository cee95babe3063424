"""A network camera that plays, stalls, dies, returns and changes, read by the real source and hub."""

from __future__ import annotations

import logging
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
from tests.support.lease import leased
from tests.support.raising import raises_code
from tests.support.tcp_server import tcp_server
from tools.rtsp_server import Clip, RtspServer, encode, serving

LIMIT_S = 30.0


def settings(server: RtspServer, **keys: object) -> CameraConfig:
    quick = {"open_timeout_s": 5, "frame_timeout_s": 1, "retry_max_s": 0.2}
    return CameraConfig.model_validate({"source": server.url, **quick, **keys})


class RunningHub:
    """One camera, read as the loop does, and its states."""

    def __init__(self, wanted: CameraConfig) -> None:
        self.states: list[CameraState] = []
        self.hub = CameraHub({"cam": (wanted, RtspCamera("cam", wanted))}, self.states.append)

    def frames(self, count: int) -> list[tuple[int, int]]:
        """Sizes of that many frames."""
        sizes: list[tuple[int, int]] = []
        self.until(lambda: self._one(sizes) >= count)
        return sizes

    def _one(self, sizes: list[tuple[int, int]]) -> int:
        with leased(self.hub, 0.2) as frame:
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
        self.until(lambda: self.hub.states["cam"].phase == phase)
        return self.hub.states["cam"].reason


@contextmanager
def running(wanted: CameraConfig) -> Iterator[RunningHub]:
    running = RunningHub(wanted)
    running.hub.start()
    try:
        yield running
    finally:
        running.hub.close()
        assert running.hub.counts("cam").balanced
        assert running.hub.counts("cam").waiting == 0


def test_camera_gives_frames(server: RtspServer) -> None:
    with running(settings(server)) as camera:
        assert camera.frames(20) == [(320, 180)] * 20
        assert camera.hub.counts("cam").failed == 0


def test_frames_arrive_without_a_backlog(server: RtspServer) -> None:
    with running(settings(server)) as camera:
        camera.frames(15)
        camera.until(lambda: server.played - camera.hub.counts("cam").captured <= 4)


def test_stalled_camera_is_lost_by_our_clock_and_returns(server: RtspServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "edged")
    with running(settings(server)) as camera:
        camera.frames(5)
        server.stalled = True
        assert camera.until_phase("lost") == "no frame for 1 s"
        server.stalled = False
        camera.frames(10)
    assert [state.phase for state in camera.states if state.phase != "lost"] == ["connecting", "online", "online"]
    lines = [record for record in caplog.records if record.name == "edged.capture.worker"]
    assert [record.levelname for record in lines].count("WARNING") == 1
    assert sum("online again after" in record.message for record in lines) == 1


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
def test_dropped_connection_is_lost_and_returns(server: RtspServer, reset: bool) -> None:
    with running(settings(server)) as camera:
        camera.frames(5)
        server.drop(reset=reset)
        camera.until(lambda: any("broke off" in state.reason for state in camera.states))
        camera.until_phase("online")
        camera.frames(5)


def test_dead_camera_is_refused_and_returns(server: RtspServer) -> None:
    with running(settings(server)) as camera:
        camera.frames(5)
        server.stop()
        camera.until(lambda: "connection refused" in camera.hub.states["cam"].reason)
        server.start()
        camera.until_phase("online")
        camera.frames(5)


def test_changed_resolution_is_followed(server: RtspServer) -> None:
    other, shapes = encode((480, 270)), list[tuple[int, ...]]()
    stream = RtspCamera("cam", settings(server)).open()
    assert [stream.read(None).image.shape for _ in range(3)] == [(180, 320, 3)] * 3
    server.clip = other
    end_s = time.monotonic() + LIMIT_S
    while shapes[-1:] != [(270, 480, 3)] and time.monotonic() < end_s:
        shapes.append(stream.read(None).image.shape)
    stream.close()
    assert shapes[-1] == (270, 480, 3)
    assert set(shapes) <= {(180, 320, 3), (270, 480, 3)}


@pytest.mark.parametrize("digest", [(), ("MD5",), ("SHA-256", "MD5")], ids=["basic", "digest", "two digests"])
def test_password_with_special_characters_opens_and_is_not_logged(
    server: RtspServer, digest: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.login, server.digest = ("admin", "p@ss:w/ord?#%"), digest
    with running(settings(server, username="admin", password="p@ss:w/ord?#%")) as camera:
        camera.frames(3)
    with running(settings(server, username="admin", password="wrong-one")) as camera:
        assert "wrong user name or password for 'admin'" in camera.until_phase("lost")
    shown = caplog.text + repr(camera.states)
    assert "p@ss" not in shown
    assert "p%40ss" not in shown
    assert "wrong-one" not in shown


def test_camera_without_its_password_is_lost(server: RtspServer) -> None:
    server.login = ("admin", "x")
    with raises_code(CameraLost, "password_missing"):
        RtspCamera("cam", settings(server)).open()


def test_camera_with_a_wrong_path_is_lost(server: RtspServer) -> None:
    server.missing = True
    with raises_code(CameraLost, "no_such_stream"):
        RtspCamera("cam", settings(server)).open()


def test_describe_of_a_silent_server_times_out(server: RtspServer) -> None:
    server.mute = True
    with raises_code(CameraLost, "timeout"):
        describe(Address.from_settings(settings(server)), 0.2)


def test_stalled_open_does_not_delay_another_camera(server: RtspServer, clip: Clip) -> None:
    server.mute = True
    with serving(clip) as good:
        bad_one, good_one = settings(server), settings(good)
        cameras = {
            "bad": (bad_one, RtspCamera("bad", bad_one)),
            "good": (good_one, RtspCamera("good", good_one)),
        }
        hub = CameraHub(cameras, lambda _: None)
        hub.start()
        try:
            for _ in range(5):
                with leased(hub, 4.0) as frame:
                    assert frame is not None
                    assert frame.camera == "good"
        finally:
            hub.close()


def test_describe_of_another_protocol_is_not_rtsp() -> None:
    with tcp_server(lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")) as port:
        wanted = CameraConfig(source=f"rtsp://127.0.0.1:{port}/live")
        with raises_code(CameraLost, "not_rtsp"):
            describe(Address.from_settings(wanted))


def test_describe_of_an_unknown_host_is_lost() -> None:
    with raises_code(CameraLost, "no_such_host"):
        describe(Address.from_settings(CameraConfig(source="rtsp://camera.invalid/live")))


def test_rtsp_camera_with_a_wrong_format_is_a_config_error(server: RtspServer) -> None:
    with raises_code(ConfigError, "format"):
        RtspCamera("cam", settings(server, format="mjpg"))
