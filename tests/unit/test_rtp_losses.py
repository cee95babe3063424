"""Marks in H.265 where RTP packets are missing."""

from __future__ import annotations

import struct

import pytest

from edged.capture.sources.rtp_losses import MARK, LossMarks
from edged.capture.sources.rtsp_login import Login
from edged.capture.sources.rtsp_relay import RelayFilter

UNIT, FIRST, NEXT = b"\x02\x01slice", b"\x62\x01\x81slice", b"\x62\x01\x01slice"  # a slice, and fragments of one
SDP = b"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\n"
CSRC = struct.pack(">I", 7)
EXTENSION = b"\xbe\xde\0\1four"


def packet(
    number: int, payload: bytes, *, end: bool = False, kind: int = 96, flags: int = 128, channel: int = 0
) -> bytes:
    data = struct.pack(">BBHII", flags, kind | 128 * end, number % 65536, 9000, 0x1234) + payload
    return b"$" + bytes([channel]) + len(data).to_bytes(2, "big") + data


def mark(number: int) -> bytes:
    return packet(number, MARK)


def sent(packets: list[bytes]) -> list[bytes]:
    marks = LossMarks()
    marks.on_description(SDP)
    return [marks.push(one) for one in packets]


def test_stream_without_a_loss_is_sent_as_it_is() -> None:
    packets = [packet(number, (UNIT, FIRST, NEXT)[number % 3], end=number % 3 == 2) for number in range(65530, 65545)]
    assert sent(packets) == packets


def test_packet_that_comes_twice_is_sent_once() -> None:
    assert sent([packet(1, UNIT), packet(1, UNIT), packet(2, UNIT)]) == [packet(1, UNIT), b"", packet(2, UNIT)]


@pytest.mark.parametrize("begin", [5, 65534])
def test_gap_is_marked_and_the_rest_of_the_unit_left_out(begin: int) -> None:
    packets = [
        packet(begin + step, payload) for step, payload in ((0, FIRST), (2, NEXT), (3, NEXT), (4, FIRST), (5, NEXT))
    ]
    assert sent(packets) == [packets[0], mark(begin + 1), b"", *packets[3:]]


def test_unit_after_a_gap_is_sent() -> None:
    assert sent([packet(5, FIRST), packet(8, UNIT)]) == [packet(5, FIRST), mark(6) + packet(8, UNIT)]


@pytest.mark.parametrize(("flags", "head"), [(0x82, 2 * CSRC), (0x90, EXTENSION), (0x91, CSRC + EXTENSION)])
def test_fragment_is_found_behind_a_longer_header(flags: int, head: bytes) -> None:
    packets = [packet(1, head + FIRST, flags=flags), packet(3, head + NEXT, flags=flags)]
    assert sent(packets) == [packets[0], mark(2)]


@pytest.mark.parametrize("end", [True, False])
def test_camera_that_begins_anew_has_lost_what_it_had_not_ended(end: bool) -> None:
    """FFmpeg refuses the first packet after a jump: a mark comes before it."""
    packets = [packet(20000, UNIT, end=end), packet(100, UNIT)]
    assert sent(packets)[1] == (b"" if end else mark(20001)) + mark(99) + packets[1]


def test_other_codecs_channels_and_reports_are_sent_as_they_are() -> None:
    report = b"$\1\0\x1c" + b"\x80\xc8\0\6" + bytes(24)
    packets = [
        packet(1, UNIT),
        packet(7, NEXT, kind=97),
        report,
        packet(50, UNIT, channel=2),
        packet(70, UNIT, flags=0),
        b"$\0\0\0",
        packet(2, UNIT),
    ]
    assert sent(packets) == packets
    assert LossMarks().push(packets[0]) == packets[0]


def test_camera_that_counts_otherwise_is_believed_after_a_few_packets() -> None:
    packets = [packet(2 * number, UNIT) for number in range(30)]
    assert MARK in sent(packets)[3]
    assert sent(packets)[9:] == packets[9:]


def test_relay_marks_what_the_camera_describes() -> None:
    relay = RelayFilter(Login("u", "p"), "rtsp://127.0.0.1:5/token", "rtsp://cam:554")
    relay.from_viewer(b"DESCRIBE rtsp://127.0.0.1:5/token/live RTSP/1.0\r\nCSeq: 7\r\n\r\n")
    relay.from_camera(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: %d\r\n\r\n" % len(SDP) + SDP)
    relay.from_camera(packet(1, UNIT))
    assert relay.from_camera(packet(3, UNIT)) == (mark(2) + packet(3, UNIT), b"")
