"""Videos as the field records them: uneven times, odd pixels, fields, colours, changes, losses."""

from __future__ import annotations

import gc
import logging
import struct
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from av.stream import Disposition
from av.video.reformatter import ColorRange, Colorspace

from edged.capture.camera import CapturedImage
from edged.capture.sources import image_files
from edged.capture.sources.files import FileCamera
from edged.capture.sources.image_files import load_image
from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost, EndOfSource
from edged.frame import U8
from tests.support.clips import moving_square, write_video
from tests.support.lease import leased
from tests.support.raising import raises_code

VFR_MS = [40 * n for n in range(15)] + [600 + 2000 * n for n in range(15)]


def frames_of(path: Path, **keys: object) -> Iterator[CapturedImage]:
    settings = CameraConfig.model_validate({"source": str(path), "realtime": False, **keys})
    stream = FileCamera("cam", settings).open()
    try:
        while True:
            yield stream.read(None)
    except EndOfSource:
        stream.close()


def times_ms(frames: list[CapturedImage]) -> list[int]:
    return [round((one.source_ns or 0) / 1e6) for one in frames]


@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts"])
def test_video_of_variable_rate_keeps_its_own_times(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_video(tmp_path / f"x.{kind}", moving_square(30), times_ms=VFR_MS)
    frames = list(frames_of(path))
    assert times_ms(frames) == VFR_MS
    assert [one.recorded_ns for one in frames] == [one.source_ns for one in frames]
    due_ns = [one.captured_ns for one in frames_of(path, realtime=True)]
    assert (due_ns[-1] - due_ns[0]) // 10**6 == 28600
    assert caplog.text == ""


def test_video_without_times_falls_back_to_its_rate(tmp_path: Path) -> None:
    path = write_video(tmp_path / "x.h264", moving_square(5), rate_hz=25)
    assert times_ms(list(frames_of(path))) == [0, 40, 80, 120, 160]


@pytest.mark.parametrize("kind", ["avi", "asf", "mxf"])
def test_b_frames_without_times_have_those_of_the_rate(kind: str, tmp_path: Path) -> None:
    options = {"bf": "2", "b_strategy": "0"}
    path = write_video(tmp_path / f"x.{kind}", moving_square(12), rate_hz=25, options=options)
    assert times_ms(list(frames_of(path))) == list(range(0, 480, 40))


@pytest.mark.parametrize(("kind", "lost"), [("mkv", 0), ("avi", 0), ("mkv", 20)])
def test_video_that_begins_late_is_whole(
    kind: str, lost: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    late_ms = [30000 + 100 * number for number in range(30)]
    path = write_video(tmp_path / f"x.{kind}", moving_square(30), rate_hz=10, times_ms=late_ms, gop=1)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * (30 - lost) // 30])
    assert times_ms(list(frames_of(path)))[0] == 0
    assert ("ends early" in caplog.text) is bool(lost)


def test_flv_with_b_frames_is_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    options = {"bf": "2", "b_strategy": "0"}
    path = write_video(tmp_path / "x.flv", moving_square(12), rate_hz=25, options=options)
    assert times_ms(list(frames_of(path))) == list(range(0, 480, 40))
    assert caplog.text == ""


def test_track_that_players_show_is_played_and_the_other_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "x.mp4"
    with av.open(str(path), "w") as out:
        tracks = [out.add_stream("libx264", rate=10, width=width, height=96) for width in (64, 128)]
        tracks[0].disposition, tracks[1].disposition = Disposition(0), Disposition.default
        for track in tracks:
            frames = [
                av.VideoFrame.from_ndarray(image, format="bgr24") for image in moving_square(3, (track.width, 96))
            ]
            out.mux([packet for frame in [*frames, None] for packet in track.encode(frame)])
    assert [frame.image.shape[1] for frame in frames_of(path)] == [128] * 3
    assert "has 2 video tracks, and the one of 128x96 is played" in caplog.text


def test_thermal_video_of_16_bits_is_stretched_to_8(tmp_path: Path) -> None:
    readings = 29000 + 10 * np.arange(96 * 64, dtype=np.uint16).reshape(96, 64) % 300

    def as_readings(_: Any) -> Any:
        return av.VideoFrame.from_ndarray(readings.astype(np.uint16), format="gray16le")

    path = tmp_path / "x.mkv"
    images = moving_square(2, (64, 96))
    write_video(path, images, codec="ffv1", options={}, pixel_format="gray16le", prepare=as_readings)
    for frame in frames_of(path):
        expected = np.round((readings - 29000.0) * 255 / (readings.max() - 29000))
        assert np.abs(frame.image - expected[:, :, None]).max() <= 1


@pytest.mark.parametrize(
    ("matrix", "upright"),
    [
        pytest.param((0, 1, -1, 0), lambda stored: np.rot90(stored, -1), id="turned"),
        pytest.param((-1, 0, 0, 1), lambda stored: stored[:, ::-1], id="mirrored"),
        pytest.param((1, 0, 0, -1), lambda stored: stored[::-1], id="upside down"),
        pytest.param((0, -1, -1, 0), lambda stored: np.rot90(stored[:, ::-1], -1), id="mirrored and turned"),
    ],
)
def test_video_with_a_display_matrix_is_upright(
    matrix: tuple[int, ...], upright: Callable[[Any], Any], tmp_path: Path
) -> None:
    path = write_video(tmp_path / "x.mp4", moving_square(1))
    stored = next(frames_of(path)).image
    data = bytearray(path.read_bytes())
    track = data.index(b"tkhd") + 4 + 40  # ISO 14496-12: the 3x3 matrix of a version 0 track header
    a, b, c, d = (0x10000 * part for part in matrix)
    data[track : track + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 0x40000000)
    path.write_bytes(data)
    assert np.array_equal(next(frames_of(path)).image, upright(stored))


def test_turn_in_the_bitstream_holds_for_all_frames_of_its_group(tmp_path: Path) -> None:
    turned = tmp_path / "turned.ts"
    with av.open(str(write_video(tmp_path / "x.ts", moving_square(4)))) as source, av.open(str(turned), "w") as target:
        track = source.streams.video[0]
        copy = target.add_stream_from_template(track)
        turn = BitStreamFilterContext("h264_metadata=display_orientation=insert:rotate=90", track)
        for packet in source.demux(track):
            for changed in turn.filter(packet if packet.dts is not None else None):
                changed.stream = copy
                target.mux(changed)
    assert [one.image.shape for one in frames_of(turned)] == 4 * [(160, 96, 3)]


def test_pictures_that_were_read_do_not_wait_for_the_garbage_collector(tmp_path: Path) -> None:
    path = write_video(tmp_path / "x.avi", moving_square(12), codec="mjpeg", pixel_format="yuvj420p", options={})
    gc.collect()
    gc.disable()
    try:
        assert len(list(frames_of(path))) == 12
        assert sum(isinstance(one, av.VideoFrame) for one in gc.get_objects()) < 3
    finally:
        gc.enable()


def test_ordinary_video_has_the_pixels_of_opencv(tmp_path: Path) -> None:
    images = list(np.random.default_rng(0).integers(0, 255, (5, 96, 160, 3), np.uint8))
    path = write_video(tmp_path / "x.mp4", images, options={})
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    assert all(np.array_equal(frame.image, capture.read()[1]) for frame in frames_of(path))
    assert not capture.read()[0]


def test_video_of_ten_bits_has_the_colours_of_opencv(tmp_path: Path) -> None:
    image = cv2.resize(np.random.default_rng(0).integers(0, 255, (24, 40, 3), np.uint8), (160, 96))
    path = write_video(tmp_path / "x.mp4", [image], pixel_format="yuv420p10le")
    _, expected = cv2.VideoCapture(str(path)).read()
    assert np.abs(next(frames_of(path)).image.astype(int) - expected).max() <= 1


def test_images_in_a_row_are_a_video_where_the_name_says_so(tmp_path: Path) -> None:
    jpegs = [cv2.imencode(".jpg", image)[1].tobytes() for image in moving_square(3)]
    (tmp_path / "x.mjpg").write_bytes(b"".join(jpegs))
    assert times_ms(list(frames_of(tmp_path / "x.mjpg"))) == [0, 40, 80]


def test_trimmed_clip_begins_at_its_first_shown_frame_and_is_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"avoid_negative_ts": "disabled"}
    path = write_video(tmp_path / "x.mp4", moving_square(30), first_shown=20, container_options=options)
    frames = list(frames_of(path))
    assert [one.position for one in frames] == list(range(10))
    assert times_ms(frames)[:3] == [0, 67, 133]
    assert caplog.text == ""


def test_recording_with_a_clock_says_when_it_was_recorded(tmp_path: Path) -> None:
    clock = {"creation_time": "2026-05-01T10:00:00.000000Z"}
    path = write_video(tmp_path / "x.mp4", moving_square(3), metadata=clock)
    assert [one.recorded_utc_ms for one in frames_of(path)] == [1777629600000, 1777629600066, 1777629600133]
    assert next(frames_of(path, realtime=True)).recorded_utc_ms is None
    path = write_video(tmp_path / "y.mp4", moving_square(3), metadata={"creation_time": "1904-01-01T00:00:00Z"})
    assert next(frames_of(path)).recorded_utc_ms is None


@pytest.mark.parametrize(
    ("aspect", "want_wh"),
    [(Fraction(2), (320, 96)), (Fraction(1, 2), (160, 192)), (Fraction(8, 9), (160, 108)), (Fraction(1), (160, 96))],
)
@pytest.mark.parametrize("kind", ["mp4", "ts"])
def test_pixels_that_are_not_square_are_made_square(
    kind: str, aspect: Fraction, want_wh: tuple[int, int], tmp_path: Path
) -> None:
    path = write_video(tmp_path / f"x.{kind}", moving_square(3), pixel_aspect=aspect)
    frames = list(frames_of(path))
    assert {one.image.shape[1::-1] for one in frames} == {want_wh}
    rows, columns = np.nonzero(frames[0].image[..., 0] > 200)
    scale_wh = want_wh[0] / 160, want_wh[1] / 96
    assert np.ptp(columns) + 1 == pytest.approx(24 * scale_wh[0], abs=2)
    assert np.ptp(rows) + 1 == pytest.approx(24 * scale_wh[1], abs=2)


def test_size_that_changes_inside_a_file_is_followed(tmp_path: Path) -> None:
    parts = [
        write_video(tmp_path / f"{width}.ts", moving_square(5, (width, 96)), gop=5).read_bytes() for width in (160, 320)
    ]
    (tmp_path / "ab.ts").write_bytes(b"".join(parts))
    frames = list(frames_of(tmp_path / "ab.ts"))
    assert [one.image.shape[1] for one in frames] == [160] * 5 + [320] * 5
    assert times_ms(frames)[4:6] == [267, 333]
    alone = list(frames_of(tmp_path / "320.ts"))
    assert np.abs(frames[7].image.astype(int) - alone[2].image.astype(int)).max() <= 1


def test_part_of_another_codec_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    parts = [
        write_video(tmp_path / f"{codec}.ts", moving_square(20), codec=codec, gop=5, options={}).read_bytes()
        for codec in ("mpeg2video", "libx264")
    ]
    (tmp_path / "x.ts").write_bytes(b"".join(parts))
    assert len(list(frames_of(tmp_path / "x.ts"))) == 20
    assert "before the first picture can be decoded" in caplog.text


@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts"])
def test_interlaced_video_gives_the_picture_at_its_times(kind: str, tmp_path: Path) -> None:
    images = moving_square(12)
    options = {"preset": "ultrafast", "flags": "+ildct+ilme", "x264-params": "tff=1"}
    path = write_video(tmp_path / f"x.{kind}", _woven(images), options=options)
    frames = list(frames_of(path))
    assert times_ms(frames) == [round(n * 1000 / 15) for n in range(12)]
    for frame, image in list(zip(frames, images[::2] + images[1::2], strict=False))[1:5]:
        assert abs(float(frame.image.mean()) - float(image.mean())) < 4
    middle = frames[4].image[48:56, :, 0].astype(int)
    assert np.abs(np.diff(middle, axis=0)).max() < 60, "the two fields are combed"


def _woven(images: list[U8]) -> list[U8]:
    """Each with its odd rows from the image that follows: what an interlaced camera sends of something that moves."""
    woven = []
    for first, second in zip(images, [*images[1:], images[-1]], strict=True):
        both = first.copy()
        both[1::2] = second[1::2]
        woven.append(both)
    return woven


LOSSES = {
    "H.264 in a transport stream": ("x.ts", "libx264", None),
    "H.264 in a file": ("x.mp4", "libx264", None),
    "H.264 with B-frames": ("x.ts", "libx264", {"preset": "veryfast", "bf": "2"}),
    "MPEG-4 in a transport stream": ("x.ts", "mpeg4", {}),
}


@pytest.mark.parametrize(("name", "codec", "options"), LOSSES.values(), ids=LOSSES)
def test_pictures_after_a_lost_one_are_damaged_until_the_next_key_frame(
    name: str, codec: str, options: dict[str, str] | None, tmp_path: Path
) -> None:
    images = moving_square(60)
    whole = list(frames_of(write_video(tmp_path / name, images, codec=codec, gop=30, options=options)))
    assert not any(one.damaged for one in whole)
    frames = list(
        frames_of(write_video(tmp_path / name, images, codec=codec, gop=30, options=options, lost=[12, 13, 14]))
    )
    damaged_ms = [at_ms for at_ms, one in zip(times_ms(frames), frames, strict=True) if one.damaged]
    assert damaged_ms
    assert damaged_ms[0] >= 733
    assert damaged_ms[-1] == 1933
    assert [one.damaged for one in frames][-30:] == [False] * 30


def test_h265_pictures_after_a_lost_one_are_whole_or_failed(tmp_path: Path) -> None:
    options = {"preset": "ultrafast", "x265-params": "log-level=none:bframes=0"}
    images = moving_square(40)
    whole = list(frames_of(write_video(tmp_path / "a.ts", images, codec="libx265", gop=20, options=options)))
    path = write_video(tmp_path / "b.ts", images, codec="libx265", gop=20, options=options, lost=[8])
    by_time = dict(zip(times_ms(whole), whole, strict=True))
    frames = list(frames_of(path))
    shown = [one for one in frames if one.image.size]
    assert len(frames) >= len(shown) >= 28
    assert not any(one.damaged for one in shown)
    for at_ms, one in zip(times_ms(shown), shown, strict=True):
        assert np.abs(one.image.astype(int) - by_time[at_ms].image.astype(int)).max() <= 2


def test_h265_pictures_with_errors_are_damaged_until_the_next_key_frame(tmp_path: Path) -> None:
    options = {"preset": "ultrafast", "x265-params": "log-level=none:bframes=0:slices=3:wpp=1"}
    spots = cv2.resize(np.random.default_rng(0).integers(0, 255, (20, 40, 3), np.uint8), (320, 192))
    images = [np.ascontiguousarray(np.roll(spots, 3 * number, axis=1)) for number in range(24)]
    whole = list(frames_of(write_video(tmp_path / "a.mkv", images, codec="libx265", gop=12, options=options)))
    path = write_video(tmp_path / "b.mkv", images, codec="libx265", gop=12, options=options, damaged=[3, 5, 7])
    frames = list(frames_of(path))
    damaged = [number for number, one in enumerate(frames) if one.damaged]
    assert not any(one.damaged for one in whole)
    assert times_ms(frames) == times_ms(whole)
    assert damaged == list(range(damaged[0], 12))
    assert 3 <= damaged[0] <= 7


BROKEN_SEI = b"\0\0\1\x4e\x01\x05\xc8\x80"  # says that 200 bytes follow
KEY_UNIT, OTHER_UNIT = b"\0\0\1\x40\x01", b"\0\0\1\x02\x01"  # VPS, slice of a picture that refers to others


@pytest.mark.parametrize("units", [[KEY_UNIT], [OTHER_UNIT], [KEY_UNIT, OTHER_UNIT]], ids=["key", "others", "all"])
def test_h265_of_a_camera_whose_pictures_have_errors_by_nature_is_shown(units: list[bytes], tmp_path: Path) -> None:
    options = {"preset": "ultrafast", "x265-params": "log-level=none:bframes=0"}
    path = write_video(tmp_path / "x.hevc", moving_square(40), codec="libx265", gop=10, options=options)
    data = path.read_bytes()
    for unit in units:
        data = data.replace(unit, BROKEN_SEI + unit)
    path.write_bytes(data)
    frames = list(frames_of(path))
    assert all(one.image.size and not one.damaged for one in frames[20:])
    assert len(frames) >= 39  # one is left out where the decoder is replaced


@pytest.mark.parametrize(("name", "codec"), [("x.ts", "libx264"), ("x.avi", "mjpeg")])
def test_pictures_with_concealed_errors_are_damaged_or_failed(name: str, codec: str, tmp_path: Path) -> None:
    pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    noise = np.random.default_rng(0).integers(0, 255, (20, 96, 160, 3), np.uint8)
    path = write_video(
        tmp_path / name, list(noise), codec=codec, gop=10, pixel_format=pixel_format, options={}, damaged=[4]
    )
    frames = list(frames_of(path))
    bad = {n for n, one in enumerate(frames) if one.damaged or not one.image.size}
    assert 4 in bad
    assert bad <= set(range(3, 10))


def test_pictures_that_fail_do_not_shift_the_times_of_the_others(tmp_path: Path) -> None:
    path = write_video(tmp_path / "x.mp4", moving_square(40), gop=10, options={"preset": "veryfast", "bf": "3"})
    data = bytearray(path.read_bytes())
    middle = data.index(b"mdat") + 4 + (data.index(b"moov") - data.index(b"mdat")) // 2
    data[middle : middle + 300] = bytes(byte ^ 0x3C for byte in data[middle : middle + 300])
    path.write_bytes(data)
    frames = list(frames_of(path))
    assert any(one.damaged for one in frames)
    assert times_ms(frames)[-1] == 2600


def test_file_without_a_duration_that_is_not_read_to_its_end_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"deadline": "realtime", "cpu-used": "8"}
    images = list(np.random.default_rng(0).integers(0, 255, (30, 96, 160, 3), np.uint8))
    path = write_video(
        tmp_path / "x.webm", images, codec="libvpx", gop=10, options=options, container_options={"live": "1"}
    )
    assert len(list(frames_of(path))) == 30
    assert caplog.text == ""
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :] = bytes(len(data) // 2)
    path.write_bytes(data)
    assert len(list(frames_of(path))) < 30
    assert "ends early" in caplog.text


def test_damage_is_logged_once_with_its_number(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from edged.capture.hub import CameraHub

    caplog.set_level(logging.WARNING)
    path = write_video(tmp_path / "x.ts", moving_square(60), gop=30, lost=[10, 20])
    settings = CameraConfig(source=str(path), realtime=False)
    hub = CameraHub({"cam": (settings, FileCamera("cam", settings))}, lambda _: None, retry=False)
    hub.start()
    seen = []
    while not hub.exhausted:
        with leased(hub, 1.0) as frame:
            if frame is not None:
                seen.append(frame.damaged)
    hub.close()
    assert sum(seen) == 18
    assert caplog.text.count("damaged pictures, until the next key frame") == 1
    assert "18 frames were damaged" in caplog.text


COLOURS = np.array([[200, 60, 30], [20, 180, 60], [90, 90, 220], [240, 240, 240]], np.uint8)  # BGR
BT709, BT601, BT2020, HLG, PQ = 1, 6, 9, 18, 16


@pytest.mark.parametrize("full_range", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", [BT601, BT709, BT2020])
def test_colours_are_those_that_the_stream_declares(matrix: int, full_range: bool, tmp_path: Path) -> None:
    image = np.repeat(np.repeat(COLOURS[None], 64, axis=0), 32, axis=1)

    name = {BT601: "ITU601", BT709: "ITU709", BT2020: "BT2020"}[matrix]
    if not hasattr(Colorspace, name):
        pytest.skip("this PyAV writes no BT.2020")

    def tagged(frame: Any) -> Any:
        wanted = ColorRange.JPEG if full_range else ColorRange.MPEG
        return frame.reformat(format="yuv420p", dst_colorspace=Colorspace[name], dst_color_range=wanted)

    params = f"colormatrix={ {BT601: 'smpte170m', BT709: 'bt709', BT2020: 'bt2020nc'}[matrix] }"
    params += f":fullrange={'on' if full_range else 'off'}:qp=4"
    path = write_video(
        tmp_path / "x.mp4", [image], prepare=tagged, options={"preset": "ultrafast", "x264-params": params}
    )
    got = next(frames_of(path)).image[32, 16::32]
    assert np.abs(got.astype(int) - COLOURS.astype(int)).max() <= 6


@pytest.mark.parametrize("transfer", ["arib-std-b67", "smpte2084"])
def test_steps_of_hdr_video_stay_apart(transfer: str, tmp_path: Path) -> None:
    greys = np.linspace(20, 240, 16).round().astype(np.uint8)
    image = np.repeat(np.repeat(np.repeat(greys[None, :, None], 3, axis=2), 64, axis=0), 16, axis=1)
    params = f"colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc:qp=4"
    path = write_video(tmp_path / "x.mp4", [image], options={"preset": "ultrafast", "x264-params": params})
    got = next(frames_of(path)).image[32, 8::16, 1].astype(int)
    assert (np.diff(got) > 8).all()


def test_looped_video_goes_on_in_time_and_starts_its_positions_again(tmp_path: Path) -> None:
    path = write_video(tmp_path / "x.mp4", moving_square(3), rate_hz=10)
    frames = frames_of(path, loop=True)
    got = [next(frames) for _ in range(7)]
    assert [one.position for one in got] == [0, 1, 2, 0, 1, 2, 0]
    assert [round((one.recorded_ns or 0) / 1e6) for one in got] == [0, 100, 200, 300, 400, 500, 600]
    assert times_ms(got) == [0, 100, 200, 0, 100, 200, 0]


def test_audio_without_video_is_lost_with_that_reason(tmp_path: Path) -> None:
    import av

    out: Any = av.open(str(tmp_path / "x.wav"), "w")
    track = out.add_stream("pcm_s16le", rate=8000)
    frame: Any = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
    frame.sample_rate = 8000
    for packet in track.encode(frame) + track.encode(None):
        out.mux(packet)
    out.close()
    with raises_code(CameraLost, "no_video"):
        list(frames_of(tmp_path / "x.wav"))


def test_video_of_a_size_that_no_camera_has_is_refused_by_name(tmp_path: Path) -> None:
    path = write_video(tmp_path / "x.avi", [np.zeros((16, 16400, 3), np.uint8)], codec="rawvideo", options={})
    with pytest.raises(CameraLost, match="16400x16 px; want") as caught:
        list(frames_of(path))
    assert caught.value.code == "size"


def test_gif_that_is_cut_off_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_video(tmp_path / "x.gif", moving_square(5), codec="gif", pixel_format="rgb8", options={})
    path.write_bytes(path.read_bytes() + bytes(3))  # some writers pad it
    assert (len(list(frames_of(path))), caplog.text) == (5, "")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert len(list(frames_of(path))) < 5
    assert "ends early" in caplog.text


def test_animated_gif_plays_with_its_own_times(tmp_path: Path) -> None:
    images = [np.full((48, 64, 3), 40 * n, np.uint8) for n in range(5)]
    path = write_video(tmp_path / "x.gif", images, codec="gif", pixel_format="rgb8", rate_hz=5, options={})
    frames = list(frames_of(path))
    assert times_ms(frames) == [0, 200, 400, 600, 800]
    assert [round(float(one.image.mean()) / 40) for one in frames] == [0, 1, 2, 3, 4]


def test_folder_says_what_it_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((32, 32, 3), np.uint8))
    for name in ("b.heic", "c.mov", ".hidden"):
        (tmp_path / name).write_bytes(b"x")
    assert len(list(frames_of(tmp_path))) == 1
    assert "left out 2 that are no images we read: b.heic, c.mov; give a video by its own path" in caplog.text


RAMP = np.arange(40 * 50).reshape(40, 50)


@pytest.mark.parametrize(
    "image",
    [
        pytest.param((7200 + RAMP).astype(np.uint16), id="16-bit thermal"),
        pytest.param((280 + RAMP / 100).astype(np.float32), id="float32"),
        pytest.param((280 + RAMP / 100).astype(np.float64), id="float64"),
        pytest.param(np.dstack([RAMP / RAMP.max()] * 3).astype(np.float32), id="float32 from 0 to 1"),
    ],
)
def test_image_of_another_depth_is_stretched_to_8_bits(image: Any, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "x.tiff"), image)
    got = next(frames_of(tmp_path / "x.tiff")).image
    want = np.dstack([(RAMP * 255 / RAMP.max()).round().astype(np.uint8)] * 3)
    assert np.abs(got.astype(int) - want.astype(int)).max() <= 1


def test_dead_pixel_does_not_darken_a_thermal_image(tmp_path: Path) -> None:
    whole = (7000 + np.arange(200 * 200) // 40).reshape(200, 200).astype(np.uint16)
    dead = whole.copy()
    dead[0, 7] = 65535
    for name, image in (("whole.png", whole), ("dead.png", dead)):
        cv2.imwrite(str(tmp_path / name), image)
    first, second = (next(frames_of(tmp_path / name)).image for name in ("whole.png", "dead.png"))
    assert np.count_nonzero(first != second) == 3, "the pixel itself"


def test_pictures_after_the_first_of_a_tiff_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cv2.imwritemulti(str(tmp_path / "x.tiff"), [np.full((48, 64, 3), grey, np.uint8) for grey in (50, 150)])
    assert [int(one.image[0, 0, 0]) for one in frames_of(tmp_path / "x.tiff")] == [50]
    assert "holds 2 pictures, and the first is used" in caplog.text


def test_image_that_goes_once_it_is_read_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_and_remove(path: Path) -> U8:
        image = load_image(path)
        path.unlink()
        return image

    monkeypatch.setattr(image_files, "load_image", read_and_remove)
    cv2.imwrite(str(tmp_path / "x.png"), np.full((48, 64, 3), 50, np.uint8))
    assert [int(one.image[0, 0, 0]) for one in frames_of(tmp_path / "x.png")] == [50]


def test_pam_with_alpha_keeps_its_colours(tmp_path: Path) -> None:
    pixels = np.zeros((48, 64, 4), np.uint8)
    pixels[:, :32] = (200, 100, 50, 255)  # RGBA
    head = b"P7\nWIDTH 64\nHEIGHT 48\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n"
    (tmp_path / "x.pam").write_bytes(head + pixels.tobytes())
    assert np.array_equal(next(frames_of(tmp_path / "x.pam")).image, pixels[:, :, 2::-1])


def test_image_without_a_finite_value_is_refused_with_its_depth(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cv2.imwrite(str(tmp_path / "x.tiff"), np.full((40, 50), np.nan, np.float32))
    with raises_code(CameraLost, "undecodable"):
        list(frames_of(tmp_path / "x.tiff"))
    assert "float32 image without one finite value" in caplog.text


def test_avif_is_upright_and_heic_refused_by_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pillow = pytest.importorskip("PIL.Image", reason="writes the AVIF; install pillow")
    stored = pillow.fromarray(moving_square(1, (64, 48))[0])
    exif = stored.getexif()
    exif[0x0112] = 6  # turn 90 degrees clockwise
    stored.save(tmp_path / "x.avif", exif=exif)
    assert next(frames_of(tmp_path / "x.avif")).image.shape == (64, 48, 3)
    for name, head in (("HEIC", b"\0\0\0\x18ftypheic"), ("JPEG XL", b"\xff\x0a")):
        (tmp_path / name).write_bytes(head + bytes(64))
        with pytest.raises(CameraLost):
            list(frames_of(tmp_path / name))
        assert f"{name} is not read; save it as JPEG" in caplog.text


@pytest.mark.skipif(not hasattr(cv2, "imwriteanimation"), reason="this OpenCV writes no animations")
def test_animated_webp_plays_with_its_own_times(tmp_path: Path) -> None:
    animation: Any = cv2.Animation()
    animation.frames = [np.full((48, 64, 3), 40 * n, np.uint8) for n in range(4)]
    animation.durations = np.array([100, 200, 300, 100])
    cv2.imwriteanimation(str(tmp_path / "x.webp"), animation)
    frames = list(frames_of(tmp_path / "x.webp"))
    assert times_ms(frames) == [0, 100, 300, 600]
    assert [round(float(one.image.mean()) / 40) for one in frames] == [0, 1, 2, 3]
