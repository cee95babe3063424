"""Which pictures of a stream are damaged, by numbers, times and the decoder's marks."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import pytest

from edged.capture.sources.damage import DamageTracker, time_ns
from edged.capture.sources.rtp_losses import MARK


class BitWriter:
    def __init__(self) -> None:
        self.bits = ""

    def take(self, value: int, count: int) -> BitWriter:
        self.bits += format(value, f"0{count}b")
        return self

    def golomb(self, *values: int) -> BitWriter:
        for value in values:
            code = format(value + 1, "b")
            self.bits += "0" * (len(code) - 1) + code
        return self

    def unit(self, header: int) -> bytes:
        bits = self.bits + "1"
        bits += "0" * (-len(bits) % 8)
        return b"\0\0\1" + bytes([header]) + int(bits, 2).to_bytes(len(bits) // 8, "big")


def sps(*, gaps_allowed: bool = False) -> bytes:
    """A baseline set whose frame_num has 4 bits."""
    return BitWriter().take(66, 8).take(0, 16).golomb(0, 0, 2, 1).take(int(gaps_allowed), 1).unit(0x67)


def slice_of(number: int, *, idr: bool = False, reference: bool = True) -> bytes:
    return BitWriter().golomb(0, 0, 0).take(number, 4).take(0, 24).unit((0x60 if reference else 0) | (5 if idr else 1))


@dataclass
class Kind:
    intra_only: bool = False


@dataclass
class Codec:
    name: str
    extradata: bytes | None = None

    @property
    def codec(self) -> Kind:
        return Kind(self.name == "mjpeg")


class Timed(bytes):
    """A packet, and the frame that it gives."""

    pts: int
    dts: int | None = None
    time_base = Fraction(1, 100)
    is_keyframe = key_frame = is_corrupt = False


def damaged(codec: Codec, packets: list[Timed], *, transport: bool = True) -> list[bool]:
    tracker, found = DamageTracker(codec, transport=transport), []
    for packet in packets:
        tracker.on_packet(packet, time_ns(packet))
        tracker.on_frame(packet)
        found.append(tracker.is_damaged(packet, time_ns(packet)))
    return found


def timed(data: bytes, pts: int, *, key: bool = False, corrupt: bool = False) -> Timed:
    packet = Timed(data)
    packet.pts, packet.is_keyframe, packet.key_frame, packet.is_corrupt = pts, key, key, corrupt
    return packet


def numbered(numbers: list[int | str], **keys: bool) -> list[Timed]:
    """Packets of these frame numbers; K: a key frame, b: no reference."""
    packets, last = [], 0
    for pts, number in enumerate(numbers):
        if number == "K":
            packets.append(timed(sps(**keys) + slice_of(0, idr=True), pts, key=True))
            last = 0
        elif number == "b":
            packets.append(timed(slice_of((last + 1) % 16, reference=False), pts))
        else:
            last = int(number)
            packets.append(timed(slice_of(last), pts))
    return packets


@pytest.mark.parametrize(
    ("numbers", "want"),
    [
        pytest.param(["K", 1, 2, 3], "....", id="whole"),
        pytest.param(["K", 1, 3, 4, "K", 1], "..xx..", id="one lost"),
        pytest.param(["K", 1, "b", "b", 2, "b", 3], ".......", id="pictures that are no references"),
        pytest.param(["K", 1, 1, 2, 2], ".....", id="two fields"),
        pytest.param(["K", *range(1, 16), 0, 1], "." * 18, id="wraps"),
        pytest.param([5, 6, 7], "...", id="joined in the middle"),
    ],
)
def test_gap_in_the_numbers_of_h264_damages_until_the_key_frame(numbers: list[int | str], want: str) -> None:
    assert damaged(Codec("h264"), numbered(numbers)) == [mark == "x" for mark in want]


def test_numbers_that_may_have_gaps_are_not_looked_at() -> None:
    assert not any(damaged(Codec("h264"), numbered(["K", 1, 3, 9], gaps_allowed=True)))


def test_camera_that_counts_wrongly_is_believed_after_a_few_pictures() -> None:
    found = damaged(Codec("h264"), numbered(["K", *(2 * n % 16 for n in range(1, 30))]))
    assert found[1]
    assert not any(found[12:])


def test_parameters_of_a_container_are_used() -> None:
    unit = sps()[3:]
    extradata = bytes([1, 66, 0, 10, 0xFF, 0xE1]) + len(unit).to_bytes(2, "big") + unit
    packets = [slice_of(0, idr=True)[3:], slice_of(1)[3:], slice_of(4)[3:]]
    framed = [timed(len(data).to_bytes(4, "big") + data, pts, key=pts == 0) for pts, data in enumerate(packets)]
    assert damaged(Codec("h264", extradata), framed) == [False, False, True]
    overwritten = [timed(bytes(4) + packet, packet.pts, key=packet.is_keyframe) for packet in framed]
    assert damaged(Codec("h264", extradata), overwritten) == [False, False, True]


STEADY = [timed(b"x", 4 * n, key=n in (0, 15)) for n in range(20)]


@pytest.mark.parametrize(
    ("codec", "transport", "want"),
    [
        pytest.param("mpeg4", True, ".........." + "xxxx" + ".....", id="lost on the network"),
        pytest.param("mpeg4", False, "." * 19, id="a file"),
        pytest.param("mjpeg", True, "." * 19, id="no references"),
        pytest.param("hevc", True, "." * 19, id="its decoder leaves such pictures out"),
    ],
)
def test_gap_in_a_steady_rate_damages_where_nothing_better_is_known(codec: str, transport: bool, want: str) -> None:
    got = damaged(Codec(codec), [packet for n, packet in enumerate(STEADY) if n != 10], transport=transport)
    assert got == [mark == "x" for mark in want]


@pytest.mark.parametrize(
    ("codec", "corrupt", "want"),
    [
        pytest.param("h264", 3, "...xx....", id="a picture, and those that refer to it"),
        pytest.param("h264", 5, ".....xxxx", id="a key frame"),
        pytest.param("mjpeg", 3, "...x.....", id="no references"),
    ],
)
def test_picture_that_the_decoder_marks_damages_until_the_key_frame(codec: str, corrupt: int, want: str) -> None:
    packets = [timed(b"x", n, key=n in (0, 5), corrupt=n == corrupt) for n in range(9)]
    tracker = DamageTracker(Codec(codec), transport=True)
    found = []
    for packet, frame in zip(numbered(["K", 1, 2, 3, 4, "K", 1, 2, 3]), packets, strict=True):
        tracker.on_packet(packet, time_ns(packet))  # whole, as the parser sees it
        tracker.on_frame(frame)
        found.append(tracker.is_damaged(frame, time_ns(frame)))
    assert found == [mark == "x" for mark in want]


@pytest.mark.parametrize(
    ("marked", "want"),
    [(3, "...xx...."), (5, ".....xxxx"), (0, "xxxxx....")],
    ids=["a picture", "a key frame", "the first one, without a time"],
)
def test_mark_in_h265_damages_until_the_key_frame(marked: int, want: str) -> None:
    packets = [timed(b"x" + MARK if n == marked else b"x", n, key=n in (0, 5)) for n in range(9)]
    packets[0].pts = None  # type: ignore[assignment]
    assert damaged(Codec("hevc"), packets) == [mark == "x" for mark in want]
    assert not any(damaged(Codec("hevc"), packets, transport=False))


def test_picture_that_refers_to_a_damaged_one_which_is_shown_later_is_damaged() -> None:
    order = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8]
    packets = [timed(b"x" + MARK if pts == 6 else b"x", pts, key=pts in (0, 9)) for pts in order]
    tracker = DamageTracker(Codec("hevc"), transport=True)
    for packet in packets:
        tracker.on_packet(packet, time_ns(packet))
    assert {
        frame.pts for frame in sorted(packets, key=lambda one: one.pts) if tracker.is_damaged(frame, time_ns(frame))
    } == {4, 5, 6, 7, 8}


def test_loss_without_a_time_lasts_until_a_key_frame_is_shown_whatever_is_lost_later() -> None:
    first, second, key = (timed(b"x" + MARK * (pts != 1), pts, key=pts != 1) for pts in (0, 1, 2))
    first.pts = None  # type: ignore[assignment]
    tracker = DamageTracker(Codec("hevc"), transport=True)
    for packet in (first, second, key):
        tracker.on_packet(packet, time_ns(packet))
    tracker.on_frame(first)
    assert [tracker.is_damaged(frame, time_ns(frame)) for frame in (first, second)] == [True, True]


def test_gap_in_an_uneven_rate_is_no_loss() -> None:
    uneven = [timed(b"x", pts, key=pts == 0) for pts in (0, 4, 9, 12, 20, 22, 29, 31, 40, 41, 60, 64)]
    assert not any(damaged(Codec("vp8"), uneven))


def test_frame_that_the_decoder_marks_damages_those_after_it() -> None:
    packets = [timed(b"x", n, key=n in (0, 6), corrupt=n == 3) for n in range(8)]
    assert damaged(Codec("vp8"), packets) == [False, False, False, True, True, True, False, False]
