"""The picture number in H.264 slice headers: a gap in it is a lost reference picture, which FFmpeg conceals silently.

Pure. Source: ITU-T H.264, 7.3.2.1 (sequence parameter set), 7.3.3 (slice header), 7.4.3 (frame_num).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

SLICE, IDR_SLICE, SPS = 1, 5, 7  # nal_unit_type. Source: ITU-T H.264, table 7-1
HEADER_BYTES = 64  # enough for every field that is read here
SPS_BYTES = 1024  # the same of a sequence parameter set, with its scaling lists
START_CODE = re.compile(rb"\x00\x00\x01")
WITH_CHROMA_FORMAT = frozenset([100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135])  # profile_idc


@dataclass(frozen=True, slots=True)
class SequenceParameters:
    """What a sequence parameter set says about picture numbers."""

    frame_num_bits: int
    gaps_allowed: bool
    separate_planes: bool


class FrameNumbers:
    """Finds gaps in the numbers of a stream's reference pictures. `extradata`: the decoder's, of the container."""

    def __init__(self, extradata: bytes | None) -> None:
        self._length_size = 0  # of a unit's length in front of it; 0: start codes
        self._sps: SequenceParameters | None = None
        self._reference: int | None = None  # frame_num of the latest reference picture; None: unknown
        if extradata and extradata[0] == 1 and len(extradata) > 6:
            self._length_size = (extradata[4] & 3) + 1
            size = int.from_bytes(extradata[6:8], "big")
            self._set_sps(extradata[8 : 8 + size])
        elif extradata:
            self.lost_before(extradata)

    def lost_before(self, packet: bytes | memoryview) -> bool:
        """Whether a reference picture is missing between the packet before and this one, of one picture."""
        for unit in self._units(packet):
            kind = unit[0] & 31
            if kind == SPS:
                self._set_sps(bytes(unit[:SPS_BYTES]))
            elif kind in (SLICE, IDR_SLICE):
                return self._slice(bytes(unit[:HEADER_BYTES]))
        return False

    def _units(self, packet: bytes | memoryview) -> Iterator[memoryview]:
        view = memoryview(packet)
        if not self._length_size:
            for code in START_CODE.finditer(view, 0, len(view) - 1):  # one at the very end begins nothing
                yield view[code.end() :]
            return
        at = 0
        while at + self._length_size < len(view):
            start = at + self._length_size
            at = start + int.from_bytes(view[at:start], "big")
            if at > start:  # an overwritten part of a file gives units of no byte
                yield view[start:at]

    def _set_sps(self, unit: bytes) -> None:
        try:
            self._sps = parse_sps(unit)
        except IndexError:  # cut off
            self._sps = None

    def _slice(self, unit: bytes) -> bool:
        if self._sps is None:
            return False
        bits = _Bits(unit[1:])
        try:
            for _ in range(3):  # first_mb_in_slice, slice_type, pic_parameter_set_id
                bits.golomb()
            if self._sps.separate_planes:
                bits.take(2)
            number = bits.take(self._sps.frame_num_bits)
        except IndexError:
            return False
        before, count = self._reference, 1 << self._sps.frame_num_bits
        if unit[0] >> 5 & 3:  # nal_ref_idc: a reference picture
            self._reference = number
        if before is None or unit[0] & 31 == IDR_SLICE or self._sps.gaps_allowed:
            return False
        return number not in (before, (before + 1) % count)


def parse_sps(unit: bytes) -> SequenceParameters:
    """The sequence parameter set `unit`, its header byte included. Raises IndexError when it is cut off."""
    bits = _Bits(unit[1:])
    profile = bits.take(8)
    bits.take(16)  # constraint flags, level_idc
    bits.golomb()  # seq_parameter_set_id
    separate = _skip_chroma_format(bits) if profile in WITH_CHROMA_FORMAT else False
    frame_num_bits = bits.golomb() + 4
    order_type = bits.golomb()
    if order_type == 0:
        bits.golomb()
    elif order_type == 1:
        bits.take(1)
        bits.golomb()
        bits.golomb()
        for _ in range(bits.golomb()):
            bits.golomb()
    bits.golomb()  # max_num_ref_frames
    return SequenceParameters(frame_num_bits, bool(bits.take(1)), separate)


def _skip_chroma_format(bits: _Bits) -> bool:
    """Whether the colour planes are coded separately."""
    chroma_format = bits.golomb()
    separate = bool(bits.take(1)) if chroma_format == 3 else False
    bits.golomb()  # bit_depth_luma_minus8
    bits.golomb()  # bit_depth_chroma_minus8
    bits.take(1)
    if bits.take(1):
        for index in range(12 if chroma_format == 3 else 8):
            if bits.take(1):
                _skip_scaling_list(bits, 16 if index < 6 else 64)
    return separate


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed_golomb()) % 256
        last = following or last


class _Bits:
    """Bits of a unit without its emulation prevention bytes. Raises IndexError behind the end."""

    def __init__(self, unit: bytes) -> None:
        data = unit.replace(b"\0\0\3", b"\0\0")
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise IndexError
        return self._value >> self._left & (1 << count) - 1

    def golomb(self) -> int:
        """An Exp-Golomb code, ue(v)."""
        rest = self._value & (1 << self._left) - 1
        zeros = self._left - rest.bit_length()
        return self.take(2 * zeros + 1) - 1

    def signed_golomb(self) -> int:
        """An Exp-Golomb code, se(v)."""
        code = self.golomb()
        return (code + 1) // 2 if code & 1 else -(code // 2)
