"""Which pictures of a stream are damaged: FFmpeg conceals lost references and errors, and says so nowhere or late.

A loss damages every picture up to the next key frame. Upstream: video_reader.py. Pure.
"""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import Any

from edged.capture.sources.h264_headers import FrameNumbers
from edged.capture.sources.rtp_losses import MARK
from edged.units import NS_PER_S

STEADY_INTERVALS = 8  # so many equal intervals make a rate steady
STEADY_TOLERANCE = 0.1  # of an interval
GAP = 1.5  # intervals; a longer one is a gap
CHECKED_OTHERWISE = frozenset(["h264", "hevc"])  # by numbers, marks; FFmpeg drops an H.265 picture without references
MANY_GAPS = 8  # in a group of pictures, and more than half of them: the camera does not count as the standard says


class DamageTracker:
    """Of one stream. `transport`: it came over a network, so that a gap in its steady rate is a loss."""

    def __init__(self, codec: Any, *, transport: bool) -> None:
        self.losses = 0
        self._frame_numbers = FrameNumbers(codec.extradata) if codec.name == "h264" else None
        self._pictures = self._gaps = 0  # by their numbers, since the latest key frame
        self._marked = codec.name == "hevc" and transport  # where a part of a picture is missing
        self._intra_only = codec.codec.intra_only  # a picture refers to no other
        self._by_time = not self._intra_only and transport and codec.name not in CHECKED_OTHERWISE
        self._intervals: deque[int] = deque(maxlen=STEADY_INTERVALS)
        self._last_ns: int | None = None  # of the packet before
        self._since_ns: int | None = None  # pictures from here on are damaged …
        self._until_ns: int | None = None  # … to the key frame that is shown here; None: it has not come yet
        self._open_keys = 0  # damaged, in a stream without times: up to so many key frames from here

    def on_packet(self, packet: Any, at_ns: int | None) -> None:
        """Before the packet, whose picture is shown at `at_ns`, is decoded."""
        lost = self._is_number_missing(packet)
        lost = lost or (self._by_time and self._is_late(time_ns(packet, decoding=True)))
        if packet.is_keyframe and (self._until_ns is None or self._since_ns is None):
            self._until_ns = at_ns
        elif at_ns is not None and self._since_ns is not None and self._until_ns is None:
            self._since_ns = min(self._since_ns, at_ns)  # it refers to a bad one that is shown later
        if packet.is_corrupt or (lost and not packet.is_keyframe):
            self.on_loss(at_ns)
        elif self._marked and MARK in bytes(packet):
            self.on_loss(at_ns, of_key_frame=packet.is_keyframe)

    def on_loss(self, at_ns: int | None, *, of_key_frame: bool = False) -> None:
        """The picture shown at `at_ns` could not be decoded, or is known to be bad."""
        self.losses += 1
        if at_ns is None or (self._until_ns is not None and at_ns >= self._until_ns):
            self._until_ns = None  # not before the next key frame
        if at_ns is None:
            self._open_keys = 1 + of_key_frame  # the first one is the bad one
        else:
            self._since_ns = at_ns if self._since_ns is None else min(self._since_ns, at_ns)

    def on_frame(self, frame: Any) -> None:
        """Before `is_damaged` is asked about the frame, or about one made of it."""
        if frame.is_corrupt:
            if not self._intra_only and not self._follows_loss(at_ns := time_ns(frame)):
                self.on_loss(at_ns)
        elif self._open_keys and frame.key_frame:
            self._open_keys -= 1

    def is_damaged(self, frame: Any, at_ns: int | None) -> bool:
        """Whether the frame, shown at `at_ns`, shows something else than the camera saw."""
        return bool(frame.is_corrupt) or self._follows_loss(at_ns)

    def _follows_loss(self, at_ns: int | None) -> bool:
        """Whether what is shown at `at_ns` was lost, or refers to what was."""
        if self._open_keys or at_ns is None or self._since_ns is None:
            return self._open_keys > 0
        if self._until_ns is not None and at_ns >= self._until_ns:
            self._since_ns = self._until_ns = None
        return self._since_ns is not None and at_ns >= self._since_ns

    def _is_number_missing(self, packet: Any) -> bool:
        """Whether a reference picture is missing before the packet, in a stream that numbers them."""
        if self._frame_numbers is None:
            return False
        if packet.is_keyframe:
            self._pictures = self._gaps = 0
        missing = self._frame_numbers.lost_before(memoryview(packet))
        self._pictures, self._gaps = self._pictures + 1, self._gaps + missing
        if self._gaps >= MANY_GAPS and 2 * self._gaps > self._pictures:
            self._frame_numbers, self._since_ns, missing = None, None, False
        return missing

    def _is_late(self, at_ns: int | None) -> bool:
        """Whether packets are missing before the one of `at_ns`."""
        last_ns, self._last_ns = self._last_ns, at_ns
        if at_ns is None or last_ns is None:
            return False
        interval_ns, before = at_ns - last_ns, list(self._intervals)
        self._intervals.append(interval_ns)
        if len(before) < STEADY_INTERVALS:
            return False
        usual_ns = median(before)
        steady = all(abs(one - usual_ns) <= STEADY_TOLERANCE * usual_ns for one in before)
        return steady and interval_ns > GAP * usual_ns


def time_ns(timed: Any, *, decoding: bool = False) -> int | None:
    """The presentation time of a packet or frame in ns, or its decoding time; None when it has none."""
    stamp = timed.dts if decoding and timed.dts is not None else timed.pts
    unit = timed.time_base
    return None if stamp is None or unit is None else stamp * unit.numerator * NS_PER_S // unit.denominator
