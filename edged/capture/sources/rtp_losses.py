"""A mark in an H.265 stream where RTP packets are missing: FFmpeg joins what is left, and its decoder tells of nothing.

See findings/rtp-loss-over-tcp-is-not-told.sh and findings/h265-with-missing-bytes-decodes-to-anything.sh. The mark is a
message to decoders that pass over it, behind the unit that was cut off: a part of the same picture.
Upstream: rtsp_relay.py. Downstream: damage.py. Pure. Source: RFC 3550, 5.1 (RTP); RFC 7798, 4.4 (H.265 in RTP);
ITU-T H.265, 7.3.2.4, D.2.7 (message).
"""

from __future__ import annotations

import re
import struct

H265 = re.compile(rb"(?im)^a=rtpmap:([0-9]{1,3})[ \t]+(?:H265|HEVC)/")
FRAGMENT = 49  # of a unit. Source: RFC 7798, 4.4.3
RTP = struct.Struct(">xxHBBHII")  # interleaved length, then flags, marker and type, sequence number, time, source
MAX_DROPOUT, MAX_MISORDER = 3000, 100  # between them FFmpeg takes for a new sequence. Source: RFC 3550, A.1
RTP_BYTES = 12  # of its fixed header. Source: RFC 3550, 5.1
UUID = b"edged-rtp-losses"
MARK = bytes([40 << 1, 1, 5, len(UUID)]) + UUID + b"\x80"  # suffix SEI, user data unregistered
MANY_GAPS = 8  # and more than half of the packets: the camera does not count as the standard says


class LossMarks:
    """Of one connection over TCP, where FFmpeg takes packets in the order in which they come."""

    def __init__(self) -> None:
        self._payload_types: set[int] = set()  # of H.265
        self._streams: dict[int, _Stream] = {}  # by interleaved channel

    def on_description(self, sdp: bytes) -> None:
        """Learn which payload types are H.265; without one, nothing is changed."""
        self._payload_types.update(int(found[1]) for found in H265.finditer(sdp))

    def push(self, packet: bytes) -> bytes:
        """What is sent on for an interleaved packet; empty for one that comes twice, or goes on with a unit cut off."""
        if len(packet) < 4 + RTP_BYTES:
            return packet
        _, flags, kind, *_ = RTP.unpack_from(packet)
        if flags >> 6 != 2 or kind & 127 not in self._payload_types:
            return packet  # RTCP, or another codec
        return self._streams.setdefault(packet[1], _Stream()).push(packet)


class _Stream:
    def __init__(self) -> None:
        self._last: int | None = None  # sequence number
        self._ended = True  # the packet before was the last one of a picture
        self._packets = self._gaps = 0
        self._cut = False  # the rest of the unit is left out

    def push(self, packet: bytes) -> bytes:
        _, _, kind, number, *_ = RTP.unpack_from(packet)
        last, self._last = self._last, number
        self._packets += 1
        if number == last:
            return b""
        missing = 0 if last is None else (number - last - 1) % 65536
        self._gaps += missing > 0
        continues = _continues(packet)
        was_ended, self._ended = self._ended, kind > 127
        if self._gaps >= MANY_GAPS and 2 * self._gaps > self._packets:
            return packet
        self._cut = continues and (self._cut or missing > 0)
        jump = MAX_DROPOUT <= missing <= 65535 - MAX_MISORDER
        marked = missing > 0 and (continues or not (jump and was_ended))  # a camera that begins anew has lost nothing
        before = _mark(packet, number - missing) if marked else b""
        before += _mark(packet, number - 1) if jump else b""  # in place of the packet that FFmpeg refuses after a jump
        return before if self._cut else before + packet


def _continues(packet: bytes) -> bool:
    """Whether it is a fragment of a unit, but not its first."""
    flags, at = packet[4], 4 + RTP_BYTES
    at += 4 * (flags & 15)  # contributing sources
    if flags & 16:  # an extension of the header
        at += 4 + 4 * int.from_bytes(packet[at + 2 : at + 4], "big")
    return len(packet) > at + 2 and packet[at] >> 1 & 63 == FRAGMENT and not packet[at + 2] & 128


def _mark(packet: bytes, number: int) -> bytes:
    """The mark as a packet of this sequence number, of the time of another one."""
    _, _, kind, _, stamp, source = RTP.unpack_from(packet)
    head = b"$" + packet[1:2] + (RTP_BYTES + len(MARK)).to_bytes(2, "big")
    return head + struct.pack(">BBHII", 128, kind & 127, number % 65536, stamp, source) + MARK
