"""What every OpenCV camera needs: a quiet library, one way to decode, and what this build of cv2 supports.

cv2 and the FFmpeg inside it print to stderr; our own log lines report the same, once. An environment variable that
the operator has set is kept.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from functools import cache
from typing import Any, cast

import cv2

from edged.capture.camera import EMPTY_IMAGE, MAX_LIVE_PIXELS, CapturedImage
from edged.errors import CameraLost
from edged.frame import U8, PixelFormat
from edged.runtime.rate_limit import RateLimiter

ENVIRONMENT = {
    "OPENCV_FFMPEG_LOGLEVEL": "-8",  # FFmpeg's AV_LOG_QUIET
    "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT": "1",  # s; how often a read of a silent device returns
}
MAX_LIVE_BYTES = 3 * MAX_LIVE_PIXELS  # BGR


def configure_opencv() -> None:
    """Set cv2 up for this process: log levels and timeouts. Call it before cv2 opens anything."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    silence = cv2.setLogLevel if hasattr(cv2, "setLogLevel") else cv2.utils.logging.setLogLevel  # 4.x, 5.x
    silence(0)


def decode(capture: Any, out: U8 | None, pixel_format: PixelFormat = "bgr") -> U8:
    """The grabbed frame, (H, W, 3) or as `pixel_format` has it, uint8; in `out` where it fits; size 0 when corrupt."""
    try:
        good, image = capture.retrieve(out) if out is not None else capture.retrieve()
    except cv2.error:
        return EMPTY_IMAGE
    if not good or image is None or image.size == 0:
        return EMPTY_IMAGE
    grey = pixel_format == "bgr" and image.ndim < 3
    return cast(U8, cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if grey else image)


@cache
def has_gstreamer() -> bool:
    """Whether this cv2 was built with GStreamer. JetPack's and Debian's are; the wheel from PyPI is not."""
    found = [line for line in cv2.getBuildInformation().splitlines() if "GStreamer:" in line]
    return any("YES" in line for line in found)


@cache
def has_element(name: str) -> bool:
    """Whether GStreamer's registry has this element, according to gst-inspect-1.0."""
    tool = shutil.which("gst-inspect-1.0")
    if tool is None:
        return False
    found = subprocess.run([tool, "--exists", name], check=False, timeout=20)  # noqa: S603
    return found.returncode == 0


class LiveStream:
    """An open cv2 capture of a live source; a frame's capture time is its arrival. `limiter`: of the frame rate."""

    def __init__(
        self, capture: Any, display_name: str, pixel_format: PixelFormat = "bgr", limiter: RateLimiter | None = None
    ) -> None:
        self._capture = capture
        self._display_name = display_name
        self._pixel_format = pixel_format
        self._limiter = limiter
        self._got_frame = False

    def read(self, out: U8 | None) -> CapturedImage:
        captured_ns = self._grab()
        while self._limiter is not None and not self._limiter.allow(captured_ns):
            captured_ns = self._grab()
        image = decode(self._capture, out, self._pixel_format)
        if image.size > MAX_LIVE_BYTES:
            text = f"{self._display_name}: an image of {image.size} bytes; want {MAX_LIVE_BYTES} at most"
            raise CameraLost(text, "size")
        return CapturedImage(
            image=image,
            captured_ns=captured_ns,
            pixel_format=self._pixel_format,
        )

    def close(self) -> None:
        self._capture.release()

    def _grab(self) -> int:
        """When the next frame arrived, CLOCK_MONOTONIC."""
        if not self._capture.grab():
            if self._got_frame:
                raise CameraLost(f"{self._display_name}: the stream broke off", "broken_off")
            raise CameraLost(f"{self._display_name}: it opened and gave no frame; it does not send video", "no_video")
        self._got_frame = True
        return time.monotonic_ns()
