"""Video files are complete or absent. Frames are 64 × 48 at 10 Hz."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from edged.drawing.video_file import VideoWriter
from edged.errors import NotWritten
from edged.frame import U8
from edged.units import ns
from tests.support.raising import raises_code

SIZE = (64, 48)


def flat(level: int = 128, size_wh: tuple[int, int] = SIZE) -> U8:
    return np.full((size_wh[1], size_wh[0], 3), level, np.uint8)


def frames_of(path: Path) -> list[U8]:
    video, frames = cv2.VideoCapture(str(path)), []
    while (got := video.read())[0]:
        frames.append(got[1])
    video.release()
    return frames


def test_video_contains_the_frames_written(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", 10, SIZE) as video:
        for level in (0, 100, 200):
            video.write(flat(level))
    assert [round(float(f.mean()), -1) for f in frames_of(tmp_path / "a.mp4")] == [0, 100, 200]
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_video_is_hidden_until_it_is_complete(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", 10, SIZE) as video:
        video.write(flat())
        assert not (tmp_path / "a.mp4").exists()


def test_video_is_kept_after_an_interrupt(tmp_path: Path) -> None:
    def interrupted() -> None:
        with VideoWriter(tmp_path / "a.mp4", 10, SIZE) as video:
            video.write(flat())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(frames_of(tmp_path / "a.mp4")) == 1


def test_video_without_frames_leaves_an_older_file(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"older")
    with raises_code(NotWritten, "empty"), VideoWriter(tmp_path / "a.mp4", 10, SIZE):
        pass
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.mp4", b"older")]


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "h264"), ("a.mkv", "h264"), ("a.webm", "vp9")])
def test_video_plays_in_browsers(tmp_path: Path, name: str, codec: str) -> None:
    with VideoWriter(tmp_path / name, 29.97, SIZE) as video:
        for _ in range(5):
            video.write(flat())
    with av.open(str(tmp_path / name)) as container:
        (stream,) = container.streams
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == (codec, "yuv420p")
        assert float(stream.average_rate) == pytest.approx(29.97, abs=0.05)


def test_mp4_begins_with_its_index(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", 10, SIZE) as video:
        video.write(flat())
    content = (tmp_path / "a.mp4").read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")


def test_video_keeps_its_colours(tmp_path: Path) -> None:
    red = np.full((48, 64, 3), (40, 60, 200), np.uint8)
    with VideoWriter(tmp_path / "a.mp4", 10, SIZE) as video:
        video.write(red)
    (frame,) = frames_of(tmp_path / "a.mp4")
    assert np.abs(frame[24, 32].astype(int) - red[24, 32]).max() <= 6


def test_video_without_an_encoder_is_rejected_and_leaves_no_file(tmp_path: Path) -> None:
    with raises_code(NotWritten, "codec"):
        VideoWriter(tmp_path / "a.mp4", 10, (40_000, 40_000))
    assert list(tmp_path.iterdir()) == []


def test_video_in_an_absent_folder_is_rejected(tmp_path: Path) -> None:
    with raises_code(NotWritten, "folder"):
        VideoWriter(tmp_path / "nowhere" / "a.mp4", 10, SIZE)


def test_video_of_an_unknown_format_is_rejected(tmp_path: Path) -> None:
    with raises_code(NotWritten, "suffix"):
        VideoWriter(tmp_path / "a.gif", 10, SIZE)


def test_video_on_a_full_disk_is_rejected_and_leaves_no_file(tmp_path: Path) -> None:
    video = VideoWriter(tmp_path / "a.mp4", 10, SIZE, reserve_bytes=1 << 62)
    with raises_code(NotWritten, "disk_full"), video:
        video.write(flat())
    assert list(tmp_path.iterdir()) == []


def test_video_frame_of_another_shape_is_scaled_to_fit(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", 10, SIZE) as video:
        video.write(flat(200, (100, 300)))
    (frame,) = frames_of(tmp_path / "a.mp4")
    assert frame.shape == (48, 64, 3)
    assert frame[:, 28:36].mean() > 180
    assert frame[:, :16].mean() < 20


def test_video_of_odd_size_is_padded(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", 10, (65, 49)) as video:
        video.write(flat(200, (65, 49)))
    (frame,) = frames_of(tmp_path / "a.mp4")
    assert frame.shape == (50, 66, 3)


@pytest.mark.parametrize(
    ("times_s", "frames"),
    [([0, 0.1, 0.2], 3), ([0, 0.5], 6), ([0, 0.01, 0.02, 0.1], 2), ([0, 3600, 3600.1], 22)],
    ids=["in time", "late", "early", "an hour away"],
)
def test_video_keeps_real_time(tmp_path: Path, times_s: list[float], frames: int) -> None:
    with VideoWriter(tmp_path / "a.mp4", 10, SIZE) as video:
        for time_s in times_s:
            video.write(flat(), ns(7 + time_s))
    assert len(frames_of(tmp_path / "a.mp4")) == frames
