"""What every camera promises, the same for the real ones and the scripted one."""

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
from edged.capture.sources import make_camera
from edged.capture.sources.opencv import has_gstreamer
from edged.capture.sources.rotate_mask import RotateMaskCamera
from edged.capture.sources.scripted import ScriptedCamera
from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost
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


def test_images_are_8_bit_bgr(camera: Camera) -> None:
    stream = camera.open()
    image = stream.read(None).image
    stream.close()
    assert image.shape == SHAPE
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous


def test_capture_times_never_go_back_and_are_of_this_clock(camera: Camera) -> None:
    begun_ns = time.monotonic_ns()
    stream = camera.open()
    times_ns = [stream.read(None).captured_ns for _ in range(5)]
    stream.close()
    assert times_ns == sorted(times_ns)
    assert begun_ns <= times_ns[0] <= time.monotonic_ns()


def test_a_slot_of_another_size_is_left_alone(camera: Camera) -> None:
    stream = camera.open()
    slot = np.full((7, 5, 3), 9, np.uint8)
    image = stream.read(slot).image
    stream.close()
    assert image.shape == SHAPE
    assert (slot == 9).all()


def test_a_slot_that_fits_holds_the_image_or_is_not_claimed_to(camera: Camera) -> None:
    stream = camera.open()
    stream.read(None)
    slot = np.full(SHAPE, 77, np.uint8)
    image = stream.read(slot).image
    stream.close()
    assert image is slot or not np.shares_memory(image, slot)
    assert not (image == 77).all()


def test_every_open_gives_a_stream_of_its_own(camera: Camera) -> None:
    first, second = camera.open(), camera.open()
    first.read(None)
    first.close()
    assert second.read(None).image.size
    second.close()
    second.close()


def test_a_csi_camera_is_turned_by_the_video_engine_alone() -> None:
    camera = make_camera("cam", CameraConfig(source="csi:1", rotate=90))
    assert isinstance(camera, RotateMaskCamera)
    assert camera._rotate_deg == 0
    assert "sensor-id=1" in camera._camera._pipeline  # type: ignore[attr-defined]
    assert "flip-method=3" in camera._camera._pipeline  # type: ignore[attr-defined]


def test_a_csi_camera_without_gstreamer_says_what_is_needed() -> None:
    if has_gstreamer():
        pytest.skip("this cv2 has GStreamer")
    with pytest.raises(CameraLost, match="use JetPack's own python3-opencv"):
        make_camera("cam", CameraConfig(source="csi:0")).open()
