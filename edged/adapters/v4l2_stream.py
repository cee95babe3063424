"""A V4L2 camera's frames as the driver writes them: straight into our memory where it can (USERPTR), else one copy.

The driver's own buffers (MMAP) are copied, not lent: where there is CUDA, the drivers of USB cameras (uvcvideo) and of
a Jetson's camera ports (tegra-video) take ours. Those that do not are of other chips, and their buffers are often
uncached: slow to read more than once.
ioctls only. Source: linux/videodev2.h, 64-bit layout.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import select
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np

from edged.adapters.v4l2_device import stamp_ns
from edged.colour import shape_of
from edged.errors import CameraLost
from edged.frame import U8, Format
from edged.ports import Shot
from edged.ring import slot
from edged.units import MS_PER_S, US_PER_MS

Memory = Literal["USERPTR", "MMAP"]
MEMORIES: dict[Memory, int] = {"USERPTR": 2, "MMAP": 1}  # v4l2_memory, the better first

S_FMT, G_PARM, S_PARM = 0xC0D05605, 0xC0CC5615, 0xC0CC5616
REQBUFS, QUERYBUF, QBUF, DQBUF = 0xC0145608, 0xC0585609, 0xC058560F, 0xC0585611
STREAMON, STREAMOFF = 0x40045612, 0x40045613
CAPTURE = 1  # V4L2_BUF_TYPE_VIDEO_CAPTURE
PROGRESSIVE = 1  # V4L2_FIELD_NONE
BAD = 0x40  # V4L2_BUF_FLAG_ERROR: the frame may be corrupt
FORMAT = struct.Struct("I4xIIIIIIII168x")  # type, width, height, pixelformat, field, bytesperline, sizeimage, …
RATE = struct.Struct("IIIII184x")  # type, capability, mode, and the time of a frame as a fraction of seconds
REQUEST = struct.Struct("IIIII")  # count, type, memory, capabilities, flags
# index, type, bytesused, flags, field, s, µs, timecode, sequence, memory, offset or address, length, …
BUFFER = struct.Struct("IIIII4xqq16sIIQIIII")

CODES: dict[Format, bytes] = {"yuyv": b"YUYV", "nv12": b"NV12", "gray": b"GREY"}
COUNT = 4  # buffers the driver has
MILLI = 1000  # rates are fractions
# EFAULT: the driver wants contiguous memory, and there is no IOMMU that makes ours so (videobuf2-dma-contig.c)
REFUSALS = (errno.EINVAL, errno.ENOTTY, errno.EOPNOTSUPP, errno.EFAULT)
LOOK_S = 0.5  # between two looks at whether the device is still there
NOTHING: U8 = np.zeros((0, 0, 3), np.uint8)


class Unfit(Exception):
    """The driver does not do it this way; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How the frames are to be."""

    form: Format
    size_wh: tuple[int, int] | None  # None: as the driver has it
    fps_hz: float  # 0: as the driver has it
    stall_s: float


class RawStream:
    """Gives the frame's memory in exchange for other memory (USERPTR), or copies it into the reader's (MMAP).

    `lost` tells what an error of the driver means. Raises `Unfit` when the driver does not do it this way,
    `CameraLost` when it does nothing at all.
    """

    def __init__(self, node: Path, asked: Asked, memory: Memory, lost: Callable[[OSError], CameraLost]) -> None:
        self._node, self._asked, self._memory, self._lost = node, asked, memory, lost
        with ExitStack() as opened:
            try:
                self._begin(opened)
            except OSError as refusal:
                if refusal.errno in REFUSALS:
                    raise Unfit(refusal.strerror) from refusal
                raise lost(refusal) from refusal
            self._opened = opened.pop_all()

    def read(self, out: U8 | None) -> Shot:
        try:
            return self._read(out)
        except OSError as refusal:
            raise self._lost(refusal) from refusal

    def close(self) -> None:
        self._opened.close()

    def _begin(self, opened: ExitStack) -> None:
        self._device = os.open(self._node, os.O_RDWR | os.O_NONBLOCK)
        opened.callback(os.close, self._device)
        self.size_wh = self._settle()
        self.fps_hz = self._pace()
        self._rooms = self._make_rooms()
        for index in range(len(self._rooms)):
            self._queue(index)
        self._switch(STREAMON)
        opened.callback(self._end)

    def _read(self, out: U8 | None) -> Shot:
        index, good, captured_ns = self._taken()
        room = self._rooms[index]
        image, traded = room, False
        if not good:
            image = NOTHING
        elif self._memory == "USERPTR":
            self._rooms[index] = out if out is not None and out.shape == room.shape else slot(room.shape)
            traded = True
        else:
            image = out if out is not None and out.shape == room.shape else np.empty_like(room)
            np.copyto(image, room)
        self._queue(index)
        return Shot(image=image, captured_ns=captured_ns, form=self._asked.form, traded=traded)

    def _taken(self) -> tuple[int, bool, int]:
        """The next buffer that is full, whether it is good, and when it was taken."""
        taken = bytearray(BUFFER.pack(0, CAPTURE, 0, 0, 0, 0, 0, b"", 0, MEMORIES[self._memory], 0, 0, 0, 0, 0))
        while True:
            self._wait()
            with suppress(BlockingIOError):
                fcntl.ioctl(self._device, DQBUF, taken)
                break
        index, _, used, flags, _, seconds, micros, *_ = BUFFER.unpack(taken)
        captured_ns = stamp_ns(seconds * MS_PER_S + micros / US_PER_MS, time.monotonic_ns())
        return index, not flags & BAD and used >= self._bytes, captured_ns

    def _settle(self) -> tuple[int, int]:
        """Ask for the format; the size that is granted."""
        width, height = self._asked.size_wh or (0, 0)
        code = int.from_bytes(CODES[self._asked.form], "little")
        wish = bytearray(FORMAT.pack(CAPTURE, width, height, code, PROGRESSIVE, 0, 0, 0, 0))
        fcntl.ioctl(self._device, S_FMT, wish)
        _, width, height, got, _, stride, size, _, _ = FORMAT.unpack(wish)
        if got != code:
            raise Unfit(f"it gives {got.to_bytes(4, 'little').decode('latin-1')}")
        self._shape = shape_of((width, height), self._asked.form)
        self._bytes = prod(self._shape)
        if stride != self._bytes // self._shape[0] or not self._bytes <= size <= _pages(self._bytes):
            raise Unfit(f"its rows are of {stride} bytes, its frames of {size}")
        return width, height

    def _pace(self) -> float:
        rate = bytearray(RATE.pack(CAPTURE, 0, 0, MILLI, round(MILLI * self._asked.fps_hz)))
        with suppress(OSError):  # many drivers know one rate only
            fcntl.ioctl(self._device, S_PARM if self._asked.fps_hz else G_PARM, rate)
        _, _, _, over, under = RATE.unpack(rate)
        return under / over if over else 0.0

    def _make_rooms(self) -> list[U8]:
        granted = bytearray(REQUEST.pack(COUNT, CAPTURE, MEMORIES[self._memory], 0, 0))
        fcntl.ioctl(self._device, REQBUFS, granted)
        count = REQUEST.unpack(granted)[0]
        if self._memory == "USERPTR":
            return [slot(self._shape) for _ in range(count)]
        return [self._mapped(index) for index in range(count)]

    def _mapped(self, index: int) -> U8:
        """A buffer of the driver's own."""
        told = bytearray(BUFFER.pack(index, CAPTURE, 0, 0, 0, 0, 0, b"", 0, MEMORIES["MMAP"], 0, 0, 0, 0, 0))
        fcntl.ioctl(self._device, QUERYBUF, told)
        *_, offset, length, _, _, _ = BUFFER.unpack(told)
        room = mmap.mmap(self._device, length, offset=offset & 0xFFFFFFFF)
        return np.frombuffer(room, np.uint8)[: self._bytes].reshape(self._shape)

    def _queue(self, index: int) -> None:
        """Give the driver memory to fill."""
        ours = self._memory == "USERPTR"
        where, length = (self._rooms[index].ctypes.data, _pages(self._bytes)) if ours else (0, 0)
        memory = MEMORIES[self._memory]
        buffer = BUFFER.pack(index, CAPTURE, 0, 0, 0, 0, 0, b"", 0, memory, where, length, 0, 0, 0)
        fcntl.ioctl(self._device, QBUF, buffer)

    def _switch(self, how: int) -> None:
        fcntl.ioctl(self._device, how, struct.pack("i", CAPTURE))

    def _end(self) -> None:
        with suppress(OSError):  # the device may be gone
            self._switch(STREAMOFF)
        self._rooms.clear()

    def _wait(self) -> None:
        """Until there is a frame."""
        end_s = time.monotonic() + self._asked.stall_s
        while not select.select([self._device], [], [], LOOK_S)[0]:
            if not self._node.exists():
                raise CameraLost(f"{self._node}: unplugged")
            if time.monotonic() > end_s:
                raise CameraLost(f"{self._node}: the device gives no frames; unplug it and plug it in again")


def _pages(size: int) -> int:
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
