"""Recorded frames: every kind of file as frames, and the errors of files that cannot be read."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edged.capture.camera import CapturedImage
from edged.capture.sources.files import FileCamera
from edged.capture.sources.image_files import load_image, natural_key
from edged.capture.sources.opencv import configure_opencv
from edged.capture.sources.rotate_mask import RotateMaskCamera
from edged.capture.sources.scripted import ScriptedCamera
from edged.capture.sources.video_files import PlaybackClock
from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost, EndOfSource
from edged.frame import U8
from tests.support.raising import raises_code

ROOT = Path(__file__).parents[2]
WIDE = (48, 32)  # width, height
LOST = """
import sys
from edged.capture.sources.files import FileCamera
from edged.config.tree import CameraConfig
from edged.errors import CameraLost

try:
    FileCamera("cam", CameraConfig(source=sys.argv[1])).open()
except CameraLost:
    print("lost")
"""


def picture(grey: int = 0, size_wh: tuple[int, int] = WIDE) -> U8:
    return np.full((size_wh[1], size_wh[0], 3), grey, np.uint8)


def camera(path: Path, **keys: object) -> FileCamera:
    return FileCamera("cam", CameraConfig.model_validate({"source": str(path), "realtime": False, **keys}))


def frames_of(path: Path, **keys: object) -> Iterator[CapturedImage]:
    stream = camera(path, **keys).open()
    try:
        while True:
            yield stream.read(None)
    except EndOfSource:
        stream.close()


def video(path: Path, frames: int = 12, size_wh: tuple[int, int] = WIDE, rate_hz: float = 10) -> Path:
    configure_opencv()  # FFmpeg reads its log level once, at its first use
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), rate_hz, size_wh)
    for n in range(frames):
        writer.write(picture(20 * n % 240, size_wh))
    writer.release()
    return path


def test_video_gives_every_frame_with_its_position(tmp_path: Path) -> None:
    path = video(tmp_path / "clip.mp4")
    got = list(frames_of(path))
    assert [captured.position for captured in got] == list(range(12))
    assert {captured.source for captured in got} == {str(path)}
    assert [round(float(captured.image.mean()) / 20) for captured in got] == list(range(12))


def test_video_is_decoded_into_the_given_buffer(tmp_path: Path) -> None:
    stream = camera(video(tmp_path / "clip.mp4")).open()
    out = stream.read(None).image.copy()
    assert stream.read(out).image is out
    other = np.zeros((8, 8, 3), np.uint8)
    assert stream.read(other).image.shape == (32, 48, 3)
    stream.close()


@pytest.mark.parametrize("name", ["rewound.mp4", "rewound.avi", "opened_anew.mpg"])
def test_looped_video_starts_again_at_its_first_frame(tmp_path: Path, name: str) -> None:
    frames = frames_of(video(tmp_path / name, frames=3, rate_hz=25), loop=True)
    got = [next(frames) for _ in range(7)]
    assert [captured.position for captured in got] == [0, 1, 2, 0, 1, 2, 0]
    assert [round(float(captured.image.mean()) / 20) for captured in got] == [0, 1, 2, 0, 1, 2, 0]


def test_video_not_in_real_time_keeps_its_recorded_time(tmp_path: Path) -> None:
    path = video(tmp_path / "clip.mp4", frames=4)
    assert [captured.recorded_ns for captured in frames_of(path)] == [0, 100_000_000, 200_000_000, 300_000_000]
    stream = camera(path, loop=True).open()
    assert [stream.read(None).recorded_ns for _ in range(6)][-1] == 500_000_000
    stream.close()


def test_video_in_real_time_is_due_at_its_recorded_rate(tmp_path: Path) -> None:
    due_ns = [captured.captured_ns for captured in frames_of(video(tmp_path / "clip.mp4", rate_hz=10), realtime=True)]
    assert set(np.diff(due_ns).tolist()) == {100_000_000}


def test_configured_rate_replaces_the_recorded_one(tmp_path: Path) -> None:
    path = video(tmp_path / "clip.mp4", rate_hz=10)
    due_ns = [captured.captured_ns for captured in frames_of(path, realtime=True, fps=50)]
    assert set(np.diff(due_ns).tolist()) == {20_000_000}


def test_playback_clock_slips_when_decoding_is_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns = 0
    monkeypatch.setattr(time, "monotonic_ns", lambda: now_ns)
    clock = PlaybackClock(realtime=True)
    assert (clock.due_ns(0), clock.due_ns(100_000_000)) == (0, 100_000_000)
    now_ns = 5_000_000_000
    assert (clock.due_ns(200_000_000), clock.due_ns(300_000_000)) == (5_000_000_000, 5_100_000_000)


def test_folder_is_read_in_natural_order(tmp_path: Path) -> None:
    for n in (10, 9, 1):
        cv2.imwrite(str(tmp_path / f"frame{n}.png"), picture(n))
    (tmp_path / "notes.txt").write_text("not an image")
    got = list(frames_of(tmp_path))
    assert [int(captured.image[0, 0, 0]) for captured in got] == [1, 9, 10]
    assert [Path(captured.source or "").name for captured in got] == ["frame1.png", "frame9.png", "frame10.png"]


def test_natural_key_orders_names_with_digits_or_letters_first() -> None:
    assert sorted(map(Path, ("b2", "10", "b10", "9", "a")), key=natural_key) == list(
        map(Path, ("9", "10", "a", "b2", "b10"))
    )


def test_bad_files_of_a_folder_are_empty_frames_and_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cv2.imwrite(str(tmp_path / "a.jpg"), picture(50))
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "b.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "c.png").write_bytes(b"")
    (tmp_path / "d.png").write_bytes(os.urandom(500))
    cv2.imwrite(str(tmp_path / "e.png"), picture(0, (1, 1)))
    (tmp_path / "f.png").mkdir()
    frames = frames_of(tmp_path, loop=True)
    sizes = [next(frames).image.size > 0 for _ in range(12)]
    assert sizes == [True, False, False, False, False, False] * 2
    lines = [record.message for record in caplog.records]
    assert len(lines) == 5
    assert "b.jpg: truncated, or not an image" in lines[0]
    assert "e.png: 1x1 px; want 16 to 16384 px" in lines[3]


def test_file_name_that_is_not_utf8_is_read_and_printable(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = cv2.imencode(".png", picture(50))[1].tobytes()
    for name, content in ((b"S\xfcd.png", whole), (b"S\xfcd.jpg", b""), ("1²3.png".encode(), whole)):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(content)
    seen = [captured.source for captured in frames_of(tmp_path) if captured.image.size]
    assert seen == [f"{tmp_path}/1²3.png", f"{tmp_path}/S\ufffdd.png"]
    assert f"{tmp_path}/S\ufffdd.jpg: empty" in caplog.text


def test_folder_of_bad_files_only_is_lost(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    with raises_code(CameraLost, "undecodable"):
        list(frames_of(tmp_path, loop=True))


SMALL = picture(0, (20, 16))
RAMP = (np.arange(16 * 20, dtype=np.uint16).reshape(16, 20) * 200).astype(np.uint16)


@pytest.mark.parametrize(
    ("name", "written", "want"),
    [
        pytest.param("x.png", SMALL[:, :, 0] + 9, SMALL + 9, id="grey"),
        pytest.param("x.png", RAMP, np.dstack([RAMP >> 8] * 3), id="16-bit"),
        pytest.param("x.tiff", RAMP, np.dstack([RAMP >> 8] * 3), id="16-bit tiff"),
        pytest.param("x.png", np.dstack([SMALL + 7, SMALL[:, :, 0] + 128]), SMALL + 7, id="alpha"),
        pytest.param("x.bmp", SMALL + 3, SMALL + 3, id="bmp"),
    ],
)
def test_load_image_of_any_depth_is_8_bit_bgr(tmp_path: Path, name: str, written: U8, want: U8) -> None:
    cv2.imwrite(str(tmp_path / name), written)
    got = load_image(tmp_path / name)
    assert got.dtype == np.uint8
    assert got.tolist() == want.tolist()


def test_load_image_with_a_palette_is_bgr(tmp_path: Path) -> None:
    (tmp_path / "x.bmp").write_bytes(palette_bmp(16, 16, blue_green_red=(10, 20, 30)))
    assert load_image(tmp_path / "x.bmp")[0, 0].tolist() == [10, 20, 30]


def palette_bmp(width: int, height: int, blue_green_red: tuple[int, int, int]) -> bytes:
    """An 8-bit indexed image whose every pixel is palette entry 1."""
    palette = bytes(4) + bytes(blue_green_red) + bytes(1)
    start = 14 + 40 + len(palette)
    head = struct.pack("<2sIHHI", b"BM", start + width * height, 0, 0, start)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 0, width * height, 0, 0, 2, 0)
    return head + info + palette + bytes([1]) * (width * height)


def test_load_image_with_an_exif_rotation_is_upright(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "x.jpg"), picture(80))
    whole = (tmp_path / "x.jpg").read_bytes()
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0)  # orientation: turn 90 degrees clockwise
    tiff = b"MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)
    app1 = b"Exif\0\0" + tiff
    turned = whole[:2] + b"\xff\xe1" + struct.pack(">H", len(app1) + 2) + app1 + whole[2:]
    (tmp_path / "x.jpg").write_bytes(turned)
    assert load_image(tmp_path / "x.jpg").shape == (48, 32, 3)


def test_8k_image_is_read(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "x.jpg"), picture(80, (7680, 4320)))
    assert [captured.image.shape for captured in frames_of(tmp_path / "x.jpg")] == [(4320, 7680, 3)]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        pytest.param("x.mp4", b"", "empty", id="empty"),
        pytest.param("x.mp4", b"\x07garbage" * 999, "undecodable", id="garbage"),
        pytest.param("x.txt", b"hello\n" * 99, "undecodable", id="text"),
        pytest.param(None, b"", "absent", id="absent"),
    ],
)
def test_file_that_is_not_a_recording_is_lost(tmp_path: Path, name: str | None, content: bytes, code: str) -> None:
    if name:
        (tmp_path / name).write_bytes(content)
    with raises_code(CameraLost, code):
        camera(tmp_path / (name or "absent.mp4")).open()


def test_opencv_prints_no_messages(tmp_path: Path) -> None:
    """In a process of its own: FFmpeg's log level is fixed when the first file is opened."""
    (tmp_path / "x.mp4").write_bytes(video(tmp_path / "whole.mp4").read_bytes()[:700])
    done = subprocess.run(
        [sys.executable, "-c", LOST, tmp_path / "x.mp4"], check=True, cwd=ROOT, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("lost\n", "")


def test_empty_folder_is_lost(tmp_path: Path) -> None:
    with raises_code(CameraLost, "empty"):
        camera(tmp_path).open()


@pytest.mark.parametrize("loop", [False, True])
def test_truncated_video_ends(tmp_path: Path, loop: bool, caplog: pytest.LogCaptureFixture) -> None:
    """An AVI carries its header first, so half of it still opens; an MP4's index is at its end."""
    whole = video(tmp_path / "whole.avi", frames=60).read_bytes()
    (tmp_path / "half.avi").write_bytes(whole[: len(whole) // 2])
    frames = frames_of(tmp_path / "half.avi", loop=loop)
    read = sum(1 for _, _ in zip(range(70), frames, strict=False))
    assert (0 < read < 50) or loop
    assert ("ends early" in caplog.text) is not loop
    mp4 = video(tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "half.mp4").write_bytes(mp4[: len(mp4) // 2])
    with raises_code(CameraLost, "undecodable"):
        camera(tmp_path / "half.mp4", loop=loop).open()


def test_video_without_a_good_frame_is_lost(tmp_path: Path) -> None:
    whole = bytearray(video(tmp_path / "x.avi").read_bytes())
    start = whole.index(b"movi") + 4
    (tmp_path / "x.avi").write_bytes(whole[:start])
    with pytest.raises(CameraLost):
        list(frames_of(tmp_path / "x.avi", loop=True))


CORNERS = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


@pytest.mark.parametrize(("rotate", "turns"), [(0, 0), (90, -1), (180, 2), (270, 1)])
def test_rotation_is_clockwise_into_the_given_buffer(rotate: int, turns: int) -> None:
    stream = RotateMaskCamera(ScriptedCamera([CORNERS, CORNERS]), rotate, ()).open()  # type: ignore[arg-type]
    first = stream.read(None).image.copy()
    assert first.tolist() == np.rot90(CORNERS, turns).tolist()
    out = np.zeros_like(first)
    assert stream.read(out).image is out
    assert out.tolist() == first.tolist()


def test_masks_black_out_the_upright_image_only() -> None:
    white = np.full((6, 10, 3), 255, np.uint8)
    mask = ((0.0, 0.0), (3.0, 0.0), (3.0, 3.0), (0.0, 3.0))
    stream = RotateMaskCamera(ScriptedCamera([white, white]), 90, (mask,)).open()
    for _ in range(2):
        upright = stream.read(None).image
        assert (upright[:4, :4] == 0).all()
        assert int((upright == 0).sum()) == 4 * 4 * 3
    stream = RotateMaskCamera(ScriptedCamera([white]), 0, (mask,)).open()
    assert (stream.read(None).image[:4, :4] == 0).all()
    assert (white == 255).all()


def test_corrupt_frame_passes_through_a_rotation() -> None:
    bad = np.zeros((0, 0, 3), np.uint8)
    assert RotateMaskCamera(ScriptedCamera([bad]), 90, ()).open().read(None).image.size == 0
