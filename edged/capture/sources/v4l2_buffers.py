"""A V4L2 camera's frames as the driver writes them, by one of two ways.

USERPTR: the driver writes into our memory. MMAP: the driver writes into its own buffers, and each frame is copied once.
The drivers of USB cameras (uvcvideo) and of a Jetson's camera ports (tegra-video) do USERPTR. Those that do not belong
to other chips, and their buffers are often uncached, which makes a second read slow: hence the copy.
"""

from __future__ import annotations

import errno
import mmap
import os
import select
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from ctypes import c_int
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np

from edged.capture.camera import EMPTY_IMAGE, CapturedImage
from edged.capture.frame_buffer import allocate_pages
from edged.capture.sources import videodev2
from edged.capture.sources.v4l2_device import capture_time_ns
from edged.errors import CameraLost
from edged.frame import U8, PixelFormat, image_shape
from edged.units import MS_PER_S, US_PER_MS

BufferMemory = Literal["USERPTR", "MMAP"]
MEMORY_CODES: dict[BufferMemory, int] = {  # the faster way first
    "USERPTR": videodev2.MEMORY_USERPTR,
    "MMAP": videodev2.MEMORY_MMAP,
}
FOURCC_CODES: dict[PixelFormat, bytes] = {"yuyv": b"YUYV", "nv12": b"NV12", "gray": b"GREY"}
DRIVER_BUFFERS = 4  # asked for; the driver may grant another number
RATE_DENOMINATOR = 1000  # of the frame period that is asked for, which is a fraction of seconds
# EFAULT: the driver wants contiguous memory and there is no IOMMU to map ours (videobuf2-dma-contig.c)
UNSUPPORTED_ERRNOS = (errno.EINVAL, errno.ENOTTY, errno.EOPNOTSUPP, errno.EFAULT)
PRESENCE_CHECK_S = 0.5  # between two checks that the device node still exists, while no frame arrives


class UnsupportedMode(Exception):
    """The driver does not support this memory or pixel format; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedStream:
    """What is asked of the driver."""

    pixel_format: PixelFormat
    size_wh: tuple[int, int] | None  # None: the driver's present size
    fps_hz: float  # 0: the driver's present rate
    stall_s: float  # without a frame, before the camera counts as lost


class RawStream:
    """A stream that swaps buffers with its reader (USERPTR) or copies into the reader's (MMAP).

    `to_camera_lost` turns a driver's error into CameraLost.
    Raises UnsupportedMode when the driver does not work this way, CameraLost when it does not work at all.
    """

    def __init__(
        self, node: Path, wanted: WantedStream, memory: BufferMemory, to_camera_lost: Callable[[OSError], CameraLost]
    ) -> None:
        self._node, self._wanted, self._memory, self._to_camera_lost = node, wanted, memory, to_camera_lost
        with ExitStack() as resources:
            try:
                self._start(resources)
            except OSError as error:
                if error.errno in UNSUPPORTED_ERRNOS:
                    raise UnsupportedMode(error.strerror) from error
                raise to_camera_lost(error) from error
            self._resources = resources.pop_all()

    def read(self, out: U8 | None) -> CapturedImage:
        try:
            return self._read(out)
        except OSError as error:
            raise self._to_camera_lost(error) from error

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
        self._switch_stream(videodev2.STREAMON)
        resources.callback(self._stop)

    def _read(self, out: U8 | None) -> CapturedImage:
        index, good, captured_ns = self._dequeue()
        filled = self._buffers[index]
        fits = out is not None and out.shape == filled.shape
        image, swapped = filled, False
        if not good:
            image = EMPTY_IMAGE
        elif self._memory == "USERPTR":
            self._buffers[index] = out if out is not None and fits else allocate_pages(filled.shape)
            swapped = True
        else:
            image = out if out is not None and fits else np.empty_like(filled)
            np.copyto(image, filled)
        self._enqueue(index)
        return CapturedImage(
            image=image, captured_ns=captured_ns, pixel_format=self._wanted.pixel_format, swapped=swapped
        )

    def _dequeue(self) -> tuple[int, bool, int]:
        """Index of the next filled buffer, whether its frame is whole, and its capture time in ns."""
        buffer = self._buffer()
        while True:
            self._wait()
            with suppress(BlockingIOError):
                videodev2.call(self._device, videodev2.DQBUF, buffer)
                break
        stamp_ms = buffer.timestamp.tv_sec * MS_PER_S + buffer.timestamp.tv_usec / US_PER_MS
        whole = not buffer.flags & videodev2.BUF_FLAG_ERROR and buffer.bytesused >= self._frame_bytes
        return buffer.index, whole, capture_time_ns(stamp_ms, time.monotonic_ns())

    def _set_format(self) -> tuple[int, int]:
        """The granted width and height. Raises UnsupportedMode when the driver grants other pixels or padded rows."""
        wanted = videodev2.Format(type=videodev2.BUF_TYPE_VIDEO_CAPTURE)
        code = int.from_bytes(FOURCC_CODES[self._wanted.pixel_format], "little")
        pix = wanted.fmt.pix
        pix.width, pix.height = self._wanted.size_wh or (0, 0)
        pix.pixelformat, pix.field = code, videodev2.FIELD_NONE
        videodev2.call(self._device, videodev2.S_FMT, wanted)
        if pix.pixelformat != code:
            raise UnsupportedMode(f"it gives {pix.pixelformat.to_bytes(4, 'little').decode('latin-1')}")
        self._shape = image_shape((pix.width, pix.height), self._wanted.pixel_format)
        self._frame_bytes = prod(self._shape)
        padded = pix.bytesperline != self._frame_bytes // self._shape[0]
        if padded or not self._frame_bytes <= pix.sizeimage <= _whole_pages(self._frame_bytes):
            raise UnsupportedMode(f"its rows have {pix.bytesperline} bytes, its frames {pix.sizeimage}")
        return pix.width, pix.height

    def _set_rate(self) -> float:
        """The granted rate in Hz; 0 when the driver does not say."""
        rate = videodev2.StreamParm(type=videodev2.BUF_TYPE_VIDEO_CAPTURE)
        period = rate.parm.capture.timeperframe
        period.numerator, period.denominator = RATE_DENOMINATOR, round(RATE_DENOMINATOR * self._wanted.fps_hz)
        with suppress(OSError):  # many drivers know one rate only
            number = videodev2.S_PARM if self._wanted.fps_hz else videodev2.G_PARM
            videodev2.call(self._device, number, rate)
        return float(period.denominator / period.numerator) if period.numerator else 0.0

    def _make_buffers(self) -> list[U8]:
        """One array of the frame's shape per buffer that the driver grants: ours, or its own mapped."""
        request = videodev2.RequestBuffers(
            count=DRIVER_BUFFERS, type=videodev2.BUF_TYPE_VIDEO_CAPTURE, memory=MEMORY_CODES[self._memory]
        )
        videodev2.call(self._device, videodev2.REQBUFS, request)
        if self._memory == "USERPTR":
            return [allocate_pages(self._shape) for _ in range(request.count)]
        return [self._map_buffer(index) for index in range(request.count)]

    def _map_buffer(self, index: int) -> U8:
        buffer = self._buffer(index)
        videodev2.call(self._device, videodev2.QUERYBUF, buffer)
        mapped = mmap.mmap(self._device, buffer.length, offset=buffer.m.offset)
        return np.frombuffer(mapped, np.uint8)[: self._frame_bytes].reshape(self._shape)

    def _enqueue(self, index: int) -> None:
        """Give the driver a buffer to fill."""
        buffer = self._buffer(index)
        if self._memory == "USERPTR":
            buffer.m.userptr, buffer.length = self._buffers[index].ctypes.data, _whole_pages(self._frame_bytes)
        videodev2.call(self._device, videodev2.QBUF, buffer)

    def _buffer(self, index: int = 0) -> videodev2.Buffer:
        return videodev2.Buffer(index=index, type=videodev2.BUF_TYPE_VIDEO_CAPTURE, memory=MEMORY_CODES[self._memory])

    def _switch_stream(self, request: int) -> None:
        videodev2.call(self._device, request, c_int(videodev2.BUF_TYPE_VIDEO_CAPTURE))

    def _stop(self) -> None:
        with suppress(OSError):  # the device may be gone
            self._switch_stream(videodev2.STREAMOFF)
        self._buffers.clear()

    def _wait(self) -> None:
        """Return when a frame is ready. Raises CameraLost when the device is gone or the stall limit has passed."""
        end_s = time.monotonic() + self._wanted.stall_s
        while not select.select([self._device], [], [], PRESENCE_CHECK_S)[0]:
            if not self._node.exists():
                raise CameraLost(f"{self._node}: unplugged", "unplugged")
            if time.monotonic() > end_s:
                raise CameraLost(f"{self._node}: the device gives no frames; unplug it and plug it in again", "stalled")


def _whole_pages(size: int) -> int:
    """`size` in bytes, rounded up to whole pages."""
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
