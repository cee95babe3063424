"""What a camera is to the rest of the capture: opened, read and closed by one thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edged.frame import U8, PixelFormat
from edged.messages.schema import CameraPhase

MAX_LIVE_PIXELS = 8192 * 4320  # of a network camera, in whose place another machine may be: 8K
MAX_UNDECODABLE = 100  # frames without one that can be decoded, before a camera is given up: three seconds at 30 Hz
EMPTY_IMAGE: U8 = np.zeros((0, 0, 3), np.uint8)  # of a frame that could not be decoded


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CapturedImage:
    """One image of a camera, and when and where it was taken."""

    image: U8  # (H, W, 3) BGR, or as `pixel_format` has it; size 0: a frame arrived and could not be decoded
    captured_ns: int  # CLOCK_MONOTONIC; in the future for a recorded frame that is not due yet
    pixel_format: PixelFormat = "bgr"
    swapped: bool = False  # True: `image` now belongs to the reader, and the stream keeps the buffer it was given
    source: str | None = None  # file the frame came from, None for live cameras
    position: int | None = None  # frame number inside `source`
    recorded_ns: int | None = None  # time inside the recording, when it is not played in real time
    source_ns: int | None = None  # time inside `source`, from its first frame; None: it has no times
    recorded_utc_ms: int | None = None  # when it was recorded, by the recording's clock; None: unknown, or played live
    damaged: bool = False  # parts of the image are missing or made up: the stream has lost some of it


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFacts:
    """What an encoded stream is, as far as it has been read. A stream that knows has it as `facts`."""

    codec: str
    inter_coded: bool  # frames refer to others, so that key frames matter
    key_interval_s: float | None  # between the latest two key frames; None: fewer so far
    interlaced: bool
    pixel_aspect: float  # width : height of a pixel as sent; images have square ones


class Stream(Protocol):
    """An open camera. Thread: the one capture thread that opened it reads and closes it.

    `read` blocks until there is a frame, for at most the camera's timeout. It decodes into `out` (uint8, shaped as
    `Frame.image`) where the shape fits; the image is then `out` itself. Any other image is valid until the next
    `read`, unless `swapped`: a driver that fills memory by itself keeps `out` for a later frame and returns a buffer
    it got earlier.
    Raises CameraLost (retry later) or EndOfSource (no more frames, ever).
    """

    def read(self, out: U8 | None) -> CapturedImage: ...
    def close(self) -> None: ...


class Camera(Protocol):
    """A source of images. Each `open` returns an independent stream, so that one that hangs can be abandoned.

    `open` raises CameraLost with the reason.
    """

    def open(self) -> Stream: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraState:
    """The phase of a camera, and why."""

    camera: str
    phase: CameraPhase
    reason: str  # of its loss or its end; else empty
    since_ns: int  # CLOCK_MONOTONIC
    size_wh: tuple[int, int] | None = None  # of its images, while it is online
