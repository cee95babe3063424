"""What a camera is to the capture: something that is opened, read and closed by one thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from edged.frame import U8, PixelFormat


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CapturedImage:
    """What a camera hands over: the image, and when and where it was taken."""

    image: U8  # (H, W, 3) BGR, or as `form` has it; of size zero when a frame was there but could not be decoded
    captured_ns: int  # CLOCK_MONOTONIC; lies ahead for recorded frames that are not due yet
    pixel_format: PixelFormat = "bgr"
    swapped: bool = False  # the image is the reader's now, and the memory it gave is the stream's
    source: str | None = None  # file the frame came from, None for live cameras
    position: int | None = None  # frame number inside `source`
    recorded_ns: int | None = None  # time inside the recording, where frames come faster or slower than recorded


class Stream(Protocol):
    """An open camera, used and closed by one capture thread.

    `read` blocks until there is a frame, for at most the camera's time-out. It decodes into `out` where
    it can, and the shot's image is then `out` itself; any other image is valid until the next `read`, unless it is
    traded: a camera that fills memory by itself keeps `out` to fill it later, and gives what it filled before.
    It raises `CameraLost` (come back later) or `EndOfSource` (no more frames, ever).
    """

    def read(self, out: U8 | None) -> CapturedImage: ...
    def close(self) -> None: ...


class Camera(Protocol):
    """A source of images. Every `open` gives a stream of its own, so that a hanging one can be left behind.

    `open` raises `CameraLost` with the reason.
    """

    def open(self) -> Stream: ...
