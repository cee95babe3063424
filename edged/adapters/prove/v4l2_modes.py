"""Whether a V4L2 driver streams into memory of ours (USERPTR), or only into its own (MMAP), and at which rate.

Raw ioctls, the size and format the driver has at the moment. Source: linux/videodev2.h, 64-bit layout.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import select
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

from edged.adapters.prove.probe import Bench, Row, Value, failed, impossible
from edged.adapters.v4l2_device import query
from edged.errors import CameraLost

G_FMT, REQBUFS, QUERYBUF, QBUF, DQBUF = 0xC0D05604, 0xC0145608, 0xC0585609, 0xC058560F, 0xC0585611
STREAMON, STREAMOFF = 0x40045612, 0x40045613
CAPTURE = 1  # V4L2_BUF_TYPE_VIDEO_CAPTURE
MODES = {"MMAP": 1, "USERPTR": 2}
FORMAT = struct.Struct("I4xIIIIIIII168x")  # type, width, height, pixelformat, field, bytesperline, sizeimage, …
REQUEST = struct.Struct("5I")  # count, type, memory, capabilities, flags
BUFFER = struct.Struct("5I4xqq16sIIQIIII")  # index, type, bytesused, flags, field, timeval, timecode, sequence, …
SEQUENCE, MEMORY, M, LENGTH = 8, 9, 10, 11
COUNT = 4
SILENT_S = 5.0


def modes(bench: Bench) -> Iterator[Row]:
    """Every device that captures."""
    found = False
    for node in sorted(Path("/dev").glob("video[0-9]*")):
        try:
            card = query(node).card
        except CameraLost:  # a metadata node, or not ours
            continue
        found = True
        for mode in MODES:
            yield _tried(node, card, mode, bench.seconds)
    if not found:
        yield impossible("V4L2 cameras", "no /dev/video that captures and may be opened")


def _tried(node: Path, card: str, mode: str, seconds: float) -> Row:
    subject = f"{node} ({card}), {mode}"
    try:
        return Row(subject=subject, figures=stream(node, mode, min(seconds, 5.0)))
    except TimeoutError as silent:
        return failed(subject, str(silent))
    except OSError as refusal:
        if refusal.errno in (errno.EINVAL, errno.EOPNOTSUPP):
            return impossible(subject, f"the driver does not do that ({refusal.strerror})")
        return failed(subject, refusal.strerror or str(refusal))


def stream(node: Path, mode: str, seconds: float) -> dict[str, Value]:
    """Stream for so long. Raises OSError with the driver's reason, TimeoutError when it falls silent."""
    with ExitStack() as stack:
        device = os.open(node, os.O_RDWR | os.O_NONBLOCK)
        stack.callback(os.close, device)
        asked = bytearray(FORMAT.pack(CAPTURE, *[0] * 8))
        fcntl.ioctl(device, G_FMT, asked)
        _, width, height, code, _, _, size, _, _ = FORMAT.unpack(asked)
        granted = bytearray(REQUEST.pack(COUNT, CAPTURE, MODES[mode], 0, 0))
        fcntl.ioctl(device, REQBUFS, granted)
        rooms = [_room(stack, device, index, mode, size) for index in range(REQUEST.unpack(granted)[0])]
        for index, room in enumerate(rooms):
            _queue(device, index, mode, room, size)
        kind = struct.pack("i", CAPTURE)
        fcntl.ioctl(device, STREAMON, kind)
        stack.callback(fcntl.ioctl, device, STREAMOFF, kind)
        figures = _counted(device, mode, rooms, size, seconds)
    return {"format": code.to_bytes(4, "little").decode("latin-1"), "size": f"{width}x{height}", **figures}


def _counted(device: int, mode: str, rooms: list[mmap.mmap], size: int, seconds: float) -> dict[str, Value]:
    frames, bad, numbers, begun_s = 0, 0, [], time.monotonic()
    while time.monotonic() - begun_s < seconds or not frames:
        if not select.select([device], [], [], SILENT_S)[0]:
            raise TimeoutError(f"{frames} frames, then silent for {SILENT_S:g} s")
        taken = bytearray(BUFFER.pack(0, CAPTURE, 0, 0, 0, 0, 0, b"", 0, MODES[mode], 0, 0, 0, 0, 0))
        fcntl.ioctl(device, DQBUF, taken)
        fields = BUFFER.unpack(taken)
        frames += 1
        bad += not fields[2] or not any(rooms[fields[0]][: fields[2] : 997])  # nothing written, or all zero
        numbers.append(fields[SEQUENCE])
        _queue(device, fields[0], mode, rooms[fields[0]], size)
    return {
        "frames_per_s": round(frames / (time.monotonic() - begun_s), 1),
        "dropped": numbers[-1] - numbers[0] + 1 - frames,
        "empty": bad,
    }


def _room(stack: ExitStack, device: int, index: int, mode: str, size: int) -> mmap.mmap:
    """Memory of the driver's, or of ours: whole pages, page-aligned."""
    if mode == "USERPTR":
        return stack.enter_context(closing(mmap.mmap(-1, -(-size // mmap.PAGESIZE) * mmap.PAGESIZE)))
    told = bytearray(BUFFER.pack(index, CAPTURE, 0, 0, 0, 0, 0, b"", 0, MODES[mode], 0, 0, 0, 0, 0))
    fcntl.ioctl(device, QUERYBUF, told)
    fields = BUFFER.unpack(told)
    offset = fields[M] & 0xFFFFFFFF
    return stack.enter_context(closing(mmap.mmap(device, fields[LENGTH], offset=offset)))


def _queue(device: int, index: int, mode: str, room: mmap.mmap, size: int) -> None:
    where = ctypes.addressof(ctypes.c_char.from_buffer(room)) if mode == "USERPTR" else 0
    length = len(room) if mode == "USERPTR" else size
    fcntl.ioctl(device, QBUF, BUFFER.pack(index, CAPTURE, 0, 0, 0, 0, 0, b"", 0, MODES[mode], where, length, 0, 0, 0))
