"""The contract of `Camera`, for the real sources and the scripted one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av", reason="PyAV encodes the clip; install edged[dev]")
pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")

import cv2

from edged.capture.camera import Camera
from edged.capture.make_camera import make_camera
from edged.capture.sources.csi import CsiCamera
from edged.capture.sources.opencv import has_gstreamer
from edged.capture.sources.scripted import ScriptedCamera
from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost
from tests.support.raising import raises_code
from tools.rtsp_server import encode, serving

SHAPE = (180, 320, 3)


def scripted(_: Path) -> Iterator[Camera]:
    session = [np.zeros(SHAPE, np.uint8)] * 20
    yield ScriptedCamera(session, session)


def video(folder: Path) -> Iterator[Camera]:
    path = str(folder / "clip.mp4")
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"mp4v"), 100, (SHAPE[1], SHAPE[0]))
    for grey in range(20):
        writer.write(np.full(SHAPE, grey, np.uint8))
    writer.release()
    yield make_camera("cam", CameraConfig(source=path))


def images(folder: Path) -> Iterator[Camera]:
    for number in range(20):
        cv2.imwrite(str(folder / f"{number}.png"), np.zeros(SHAPE, np.uint8))
    yield make_camera("cam", CameraConfig(source=str(folder), realtime=False))


def rtsp(_: Path) -> Iterator[Camera]:
    with serving(encode((SHAPE[1], SHAPE[0]))) as server:
        yield make_camera("cam", CameraConfig(source=server.url))


Kind = Callable[[Path], Iterator[Camera]]


@pytest.fixture(params=[scripted, video, images, rtsp], ids=lambda kind: str(kind.__name__))
def camera(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Camera]:
    kind: Kind = request.param
    yield from kind(tmp_path)


def test_read_image_is_8_bit_bgr(camera: Camera) -> None:
    stream = camera.open()
    image = stream.read(None).image
    stream.close()
    assert image.shape == SHAPE
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous


def test_read_capture_times_are_monotonic_and_of_this_clock(camera: Camera) -> None:
    begun_ns = time.monotonic_ns()
    stream = camera.open()
    times_ns = [stream.read(None).captured_ns for _ in range(5)]
    stream.close()
    assert times_ns == sorted(times_ns)
    assert begun_ns <= times_ns[0] <= time.monotonic_ns()


def test_read_buffer_of_another_size_is_not_written(camera: Camera) -> None:
    stream = camera.open()
    buffer = np.full((7, 5, 3), 9, np.uint8)
    image = stream.read(buffer).image
    stream.close()
    assert image.shape == SHAPE
    assert (buffer == 9).all()


def test_read_buffer_that_fits_is_the_image_or_shares_no_memory_with_it(camera: Camera) -> None:
    stream = camera.open()
    stream.read(None)
    buffer = np.full(SHAPE, 77, np.uint8)
    image = stream.read(buffer).image
    stream.close()
    assert image is buffer or not np.shares_memory(image, buffer)
    assert not (image == 77).all()


def test_open_twice_gives_independent_streams(camera: Camera) -> None:
    first, second = camera.open(), camera.open()
    first.read(None)
    first.close()
    assert second.read(None).image.size
    second.close()
    second.close()


def test_csi_camera_rotation_is_done_in_hardware_only() -> None:
    camera = make_camera("cam", CameraConfig(source="csi:1", rotate=90))
    assert isinstance(camera, CsiCamera)
    assert "sensor-id=1" in camera.pipeline
    assert "flip-method=3" in camera.pipeline


def test_csi_camera_without_gstreamer_is_lost_with_the_reason() -> None:
    if has_gstreamer():
        pytest.skip("this cv2 has GStreamer")
    with raises_code(CameraLost, "no_gstreamer"):
        make_camera("cam", CameraConfig(source="csi:0")).open()
