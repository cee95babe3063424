"""One good frame of one camera. Images are flat; their grey level tells them apart, below 50 is too dark."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edged.capture.snapshot import first_good_frame
from edged.capture.sources.scripted import ScriptedCamera, Step
from edged.drawing.image_file import encode_jpeg, write_image
from edged.errors import CameraLost, NotWritten
from edged.frame import U8, Frame, FrameResult, ImageQuality


def flat(level: int) -> U8:
    return np.full((4, 6, 3), level, np.uint8)


def see(frame: Frame) -> FrameResult:
    level = float(frame.image.mean())
    return FrameResult(
        camera=frame.camera, seq=frame.seq, captured_ns=0, done_ns=0, size_wh=(6, 4), subjects=(), stage_ns={},
        quality=ImageQuality(brightness=level, contrast=0, sharpness=0, degraded=("dark",) if level < 50 else ()),
    )  # fmt: skip


def taken(*steps: Step, settle: int = 0, good_within_s: float = 20) -> tuple[int, tuple[str, ...]]:
    image, result = first_good_frame(
        ScriptedCamera(steps), see, name="yard", warm_up_frames=settle, timeout_s=good_within_s
    )
    return int(image[0, 0, 0]), result.quality.degraded


def test_the_first_frames_are_left_to_the_exposure() -> None:
    assert taken(flat(100), flat(110), flat(120), flat(130), settle=2) == (120, ())


def test_a_good_frame_is_waited_for() -> None:
    assert taken(flat(10), flat(20), flat(90), flat(91)) == (90, ())


def test_where_none_gets_good_the_last_one_is_taken_and_says_so() -> None:
    assert taken(flat(10), flat(20)) == (20, ("dark",))


def test_waiting_has_an_end() -> None:
    assert taken(flat(10), flat(90), good_within_s=0) == (10, ("dark",))


def test_frames_that_could_not_be_decoded_are_passed_over() -> None:
    assert taken(np.zeros((0, 0, 3), np.uint8), flat(90)) == (90, ())


def test_a_camera_with_nothing_but_broken_frames_is_lost() -> None:
    with pytest.raises(CameraLost, match="yard: none of 101 frames"):
        taken(*[np.zeros((0, 0, 3), np.uint8)] * 200)


def test_the_camera_is_closed_again() -> None:
    camera = ScriptedCamera([flat(90)])
    first_good_frame(camera, see, name="yard", warm_up_frames=0)
    assert camera.closed == 1


def test_a_picture_is_written_whole_and_nothing_else(tmp_path: Path) -> None:
    write_image(tmp_path / "yard.png", flat(90))
    assert [path.name for path in tmp_path.iterdir()] == ["yard.png"]
    assert (np.asarray(cv2.imread(str(tmp_path / "yard.png"))) == 90).all()


@pytest.mark.parametrize(
    ("name", "said"),
    [("no/yard.jpg", "No such file"), ("file/yard.jpg", "Not a directory"), ("yard.bmp", "want|end the name")],
    ids=["no folder", "a file for a folder", "format"],
)
def test_a_picture_that_cannot_be_written_says_why(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotWritten, match=said):
        write_image(tmp_path / name, flat(90))


def noise(width: int, height: int) -> U8:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)


@pytest.mark.parametrize("kilobytes", [1000, 100, 30, 10])
def test_a_picture_to_send_is_made_to_fit(kilobytes: int) -> None:
    encoded, (width, height) = encode_jpeg(noise(640, 480), kilobytes * 1000)
    image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (height, width, 3)
    assert len(encoded) <= kilobytes * 1000
    assert (width == 640) == (kilobytes == 1000)
    assert width / height == pytest.approx(4 / 3, abs=0.02)


def test_a_picture_that_cannot_be_made_to_fit_is_not_sent() -> None:
    with pytest.raises(NotWritten, match="640 x 480 px does not fit 100 bytes; allow more"):
        encode_jpeg(noise(640, 480), 100)
