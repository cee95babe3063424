"""What every cv2 camera needs: a quiet library, one way to decode, and what this build of cv2 can do.

cv2 and the FFmpeg inside it write to stderr by themselves; our own messages say the same, once. The variables
set here are the ones cv2 reads; what the operator has set stays.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from functools import cache
from typing import Any, cast

import cv2
import numpy as np

from edged.capture.camera import CapturedImage
from edged.errors import CameraLost
from edged.frame import U8, PixelFormat

EMPTY_IMAGE: U8 = np.zeros((0, 0, 3), np.uint8)  # a frame that could not be decoded

ENVIRONMENT = {
    "OPENCV_FFMPEG_LOGLEVEL": "-8",  # FFmpeg's AV_LOG_QUIET
    # RTSP opens in 0.2 s in place of 2 s. Files are read alike: their headers say what 0.1 s of frames would.
    "OPENCV_FFMPEG_CAPTURE_OPTIONS": "rtsp_transport;tcp|analyzeduration;100000",
    # Without it one camera that is slow to open holds a lock that every other open waits for.
    "OPENCV_FFMPEG_IS_THREAD_SAFE": "1",
    "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT": "1",  # s; a silent device gives control back this often
}


def configure_opencv() -> None:
    """Set cv2 up for this process. Called when a camera is made, before cv2 opens anything."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    silence = cv2.setLogLevel if hasattr(cv2, "setLogLevel") else cv2.utils.logging.setLogLevel  # 4.x, 5.x
    silence(0)


def decode(capture: Any, out: U8 | None, pixel_format: PixelFormat = "bgr") -> U8:
    """The grabbed frame, in `out` where it fits; of size zero when it is corrupt."""
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
    """Whether this cv2 was built with GStreamer: JetPack's and Debian's are, the one from PyPI is not."""
    found = [line for line in cv2.getBuildInformation().splitlines() if "GStreamer:" in line]
    return any("YES" in line for line in found)


@cache
def has_element(name: str) -> bool:
    """Whether GStreamer's registry knows an element, asked of its own tool."""
    tool = shutil.which("gst-inspect-1.0")
    if tool is None:
        return False
    asked = subprocess.run([tool, "--exists", name], check=False, timeout=20)  # noqa: S603
    return asked.returncode == 0


class LiveStream:
    """An open cv2 capture of a stream; a frame's time is the moment it came."""

    def __init__(self, capture: Any, display_name: str, pixel_format: PixelFormat = "bgr") -> None:
        self._capture = capture
        self._display_name = display_name
        self._pixel_format = pixel_format
        self._got_frame = False

    def read(self, out: U8 | None) -> CapturedImage:
        if not self._capture.grab():
            how = (
                "the stream broke off" if self._got_frame else "it opened and gave no frame; what it sends is no video"
            )
            raise CameraLost(f"{self._display_name}: {how}")
        captured_ns = time.monotonic_ns()
        self._got_frame = True
        return CapturedImage(
            image=decode(self._capture, out, self._pixel_format),
            captured_ns=captured_ns,
            pixel_format=self._pixel_format,
        )

    def close(self) -> None:
        self._capture.release()
