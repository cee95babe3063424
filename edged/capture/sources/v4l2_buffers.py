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

from edged.capture.camera import CapturedImage
from edged.capture.frame_buffer import allocate_pages
from edged.capture.sources.v4l2_device import capture_time_ns
from edged.errors import CameraLost
from edged.frame import U8, PixelFormat, image_shape
from edged.units import MS_PER_S, US_PER_MS

BufferMemory = Literal["USERPTR", "MMAP"]
MEMORY_CODES: dict[BufferMemory, int] = {"USERPTR": 2, "MMAP": 1}  # v4l2_memory, the better first

S_FMT, G_PARM, S_PARM = 0xC0D05605, 0xC0CC5615, 0xC0CC5616
REQBUFS, QUERYBUF, QBUF, DQBUF = 0xC0145608, 0xC0585609, 0xC058560F, 0xC0585611
STREAMON, STREAMOFF = 0x40045612, 0x40045613
CAPTURE = 1  # V4L2_BUF_TYPE_VIDEO_CAPTURE
PROGRESSIVE = 1  # V4L2_FIELD_NONE
FLAG_ERROR = 0x40  # V4L2_BUF_FLAG_ERROR: the frame may be corrupt
FORMAT = struct.Struct("I4xIIIIIIII168x")  # type, width, height, pixelformat, field, bytesperline, sizeimage, …
RATE = struct.Struct("IIIII184x")  # type, capability, mode, and the time of a frame as a fraction of seconds
REQUEST = struct.Struct("IIIII")  # count, type, memory, capabilities, flags
# index, type, bytesused, flags, field, s, µs, timecode, sequence, memory, offset or address, length, …
BUFFER = struct.Struct("IIIII4xqq16sIIQIIII")

FOURCC_CODES: dict[PixelFormat, bytes] = {"yuyv": b"YUYV", "nv12": b"NV12", "gray": b"GREY"}
DRIVER_BUFFERS = 4  # buffers the driver has
MILLI = 1000  # rates are fractions
# EFAULT: the driver wants contiguous memory, and there is no IOMMU that makes ours so (videobuf2-dma-contig.c)
UNSUPPORTED_ERRNOS = (errno.EINVAL, errno.ENOTTY, errno.EOPNOTSUPP, errno.EFAULT)
PRESENCE_CHECK_S = 0.5  # between two looks at whether the device is still there
EMPTY_IMAGE: U8 = np.zeros((0, 0, 3), np.uint8)


class UnsupportedMode(Exception):
    """The driver does not do it this way; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedStream:
    """How the frames are to be."""

    pixel_format: PixelFormat
    size_wh: tuple[int, int] | None  # None: as the driver has it
    fps_hz: float  # 0: as the driver has it
    stall_s: float


class RawStream:
    """Gives the frame's memory in exchange for other memory (USERPTR), or copies it into the reader's (MMAP).

    `lost` tells what an error of the driver means. Raises `Unfit` when the driver does not do it this way,
    `CameraLost` when it does nothing at all.
    """

    def __init__(
        self, node: Path, wanted: WantedStream, memory: BufferMemory, to_camera_lost: Callable[[OSError], CameraLost]
    ) -> None:
        self._node, self._wanted, self._memory, self._to_camera_lost = node, wanted, memory, to_camera_lost
        with ExitStack() as opened:
            try:
                self._start(opened)
            except OSError as refusal:
                if refusal.errno in UNSUPPORTED_ERRNOS:
                    raise UnsupportedMode(refusal.strerror) from refusal
                raise to_camera_lost(refusal) from refusal
            self._resources = opened.pop_all()

    def read(self, out: U8 | None) -> CapturedImage:
        try:
            return self._read(out)
        except OSError as refusal:
            raise self._to_camera_lost(refusal) from refusal

    def close(self) -> None:
        self._resources.close()

    def _start(self, resources: ExitStack) -> None:
        self._device = os.open(self._node, os.O_RDWR | os.O_NONBLOCK)
        resources.callback(os.close, self._device)
        self.size_wh = self._set_format()
        self.fps_hz = self._set_rate()
        self._buffers = self._make_buffers()
        for index in range(len(self._buffers)):
            self._enqueue(index)
        self._switch_stream(STREAMON)
        resources.callback(self._stop)

    def _read(self, out: U8 | None) -> CapturedImage:
        index, good, captured_ns = self._dequeue()
        room = self._buffers[index]
        image, traded = room, False
        if not good:
            image = EMPTY_IMAGE
        elif self._memory == "USERPTR":
            self._buffers[index] = out if out is not None and out.shape == room.shape else allocate_pages(room.shape)
            traded = True
        else:
            image = out if out is not None and out.shape == room.shape else np.empty_like(room)
            np.copyto(image, room)
        self._enqueue(index)
        return CapturedImage(
            image=image, captured_ns=captured_ns, pixel_format=self._wanted.pixel_format, swapped=traded
        )

    def _dequeue(self) -> tuple[int, bool, int]:
        """The next buffer that is full, whether it is good, and when it was taken."""
        taken = bytearray(BUFFER.pack(0, CAPTURE, 0, 0, 0, 0, 0, b"", 0, MEMORY_CODES[self._memory], 0, 0, 0, 0, 0))
        while True:
            self._wait()
            with suppress(BlockingIOError):
                fcntl.ioctl(self._device, DQBUF, taken)
                break
        index, _, used, flags, _, seconds, micros, *_ = BUFFER.unpack(taken)
        captured_ns = capture_time_ns(seconds * MS_PER_S + micros / US_PER_MS, time.monotonic_ns())
        return index, not flags & FLAG_ERROR and used >= self._frame_bytes, captured_ns

    def _set_format(self) -> tuple[int, int]:
        """Ask for the format; the size that is granted."""
        width, height = self._wanted.size_wh or (0, 0)
        code = int.from_bytes(FOURCC_CODES[self._wanted.pixel_format], "little")
        wish = bytearray(FORMAT.pack(CAPTURE, width, height, code, PROGRESSIVE, 0, 0, 0, 0))
        fcntl.ioctl(self._device, S_FMT, wish)
        _, width, height, got, _, stride, size, _, _ = FORMAT.unpack(wish)
        if got != code:
            raise UnsupportedMode(f"it gives {got.to_bytes(4, 'little').decode('latin-1')}")
        self._shape = image_shape((width, height), self._wanted.pixel_format)
        self._frame_bytes = prod(self._shape)
        if stride != self._frame_bytes // self._shape[0] or not self._frame_bytes <= size <= _whole_pages(
            self._frame_bytes
        ):
            raise UnsupportedMode(f"its rows are of {stride} bytes, its frames of {size}")
        return width, height

    def _set_rate(self) -> float:
        rate = bytearray(RATE.pack(CAPTURE, 0, 0, MILLI, round(MILLI * self._wanted.fps_hz)))
        with suppress(OSError):  # many drivers know one rate only
            fcntl.ioctl(self._device, S_PARM if self._wanted.fps_hz else G_PARM, rate)
        _, _, _, over, under = RATE.unpack(rate)
        return under / over if over else 0.0

    def _make_buffers(self) -> list[U8]:
        granted = bytearray(REQUEST.pack(DRIVER_BUFFERS, CAPTURE, MEMORY_CODES[self._memory], 0, 0))
        fcntl.ioctl(self._device, REQBUFS, granted)
        count = REQUEST.unpack(granted)[0]
        if self._memory == "USERPTR":
            return [allocate_pages(self._shape) for _ in range(count)]
        return [self._map_buffer(index) for index in range(count)]

    def _map_buffer(self, index: int) -> U8:
        """A buffer of the driver's own."""
        told = bytearray(BUFFER.pack(index, CAPTURE, 0, 0, 0, 0, 0, b"", 0, MEMORY_CODES["MMAP"], 0, 0, 0, 0, 0))
        fcntl.ioctl(self._device, QUERYBUF, told)
        *_, offset, length, _, _, _ = BUFFER.unpack(told)
        room = mmap.mmap(self._device, length, offset=offset & 0xFFFFFFFF)
        return np.frombuffer(room, np.uint8)[: self._frame_bytes].reshape(self._shape)

    def _enqueue(self, index: int) -> None:
        """Give the driver memory to fill."""
        ours = self._memory == "USERPTR"
        where, length = (self._buffers[index].ctypes.data, _whole_pages(self._frame_bytes)) if ours else (0, 0)
        memory = MEMORY_CODES[self._memory]
        buffer = BUFFER.pack(index, CAPTURE, 0, 0, 0, 0, 0, b"", 0, memory, where, length, 0, 0, 0)
        fcntl.ioctl(self._device, QBUF, buffer)

    def _switch_stream(self, request: int) -> None:
        fcntl.ioctl(self._device, request, struct.pack("i", CAPTURE))

    def _stop(self) -> None:
        with suppress(OSError):  # the device may be gone
            self._switch_stream(STREAMOFF)
        self._buffers.clear()

    def _wait(self) -> None:
        """Until there is a frame."""
        end_s = time.monotonic() + self._wanted.stall_s
        while not select.select([self._device], [], [], PRESENCE_CHECK_S)[0]:
            if not self._node.exists():
                raise CameraLost(f"{self._node}: unplugged")
            if time.monotonic() > end_s:
                raise CameraLost(f"{self._node}: the device gives no frames; unplug it and plug it in again")


def _whole_pages(size: int) -> int:
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
