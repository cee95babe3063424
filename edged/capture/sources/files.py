"""Recorded frames as a camera: a video, an image, or a folder of images in natural order.

In real time frames fall due at the recorded rate; otherwise each is due as soon as it is decoded.
A folder's bad files are skipped, named once, and given as frames of size zero, to be counted.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from edged.capture.camera import CapturedImage, Stream
from edged.capture.sources.opencv import EMPTY_IMAGE, configure_opencv, decode
from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost, EndOfSource
from edged.frame import U8
from edged.units import NS_PER_S

log = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset([".bmp", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"])
TEXT_SUFFIXES = frozenset([".ans", ".asc", ".nfo", ".txt"])  # FFmpeg would play these as a video of a terminal
SEEKABLE_SUFFIXES = frozenset(
    [".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"]
)  # FFmpeg finds the start of these again
SIDE_LIMITS_PX = (16, 16384)  # what we take for a camera image
DEFAULT_VIDEO_HZ = 25.0  # when a video does not say its rate
DEFAULT_FOLDER_HZ = 5.0
MAX_LATE_NS = NS_PER_S  # beyond this, the timeline slips instead of running after the clock


class FileCamera:
    def __init__(self, name: str, settings: CameraConfig) -> None:
        configure_opencv()
        self._name = name
        self._settings = settings
        self._logged_bad: set[Path] = set()  # named in the log already

    def open(self) -> Stream:
        path = Path(self._settings.source).expanduser()
        try:
            size = path.stat().st_size
            images = _images_in(path)
        except OSError as error:
            raise CameraLost(f"{path}: {error.strerror}; give the path of a video, image or folder") from error
        if images is not None:
            return ImageStream(self._name, images, self._settings, self._logged_bad)
        if size == 0:
            raise CameraLost(f"{path}: the file is empty; record or copy it again")
        if cv2.haveImageReader(str(path)):
            return ImageStream(self._name, [path], self._settings, self._logged_bad)
        return VideoStream(self._name, path, self._settings)


def _images_in(path: Path) -> list[Path] | None:
    """The images of a folder in natural order; None when the path is no folder. Raises OSError."""
    if not path.is_dir():
        return None
    images = [entry for entry in path.iterdir() if entry.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        raise CameraLost(f"{path}: no image in this folder; want {' '.join(sorted(IMAGE_SUFFIXES))}")
    return sorted(images, key=natural_key)


def natural_key(path: Path) -> list[tuple[bool, int, str]]:
    """Sort key under which frame9 comes before frame10."""
    parts = re.split(r"(\d+)", path.name)
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def printable_path(path: Path) -> str:
    """The path as it can be sent: a file's name need not be UTF-8."""
    return os.fsencode(path).decode(errors="replace")


class PlaybackClock:
    """When recorded frames are due, at a rate; None: at once."""

    def __init__(self, rate_hz: float | None) -> None:
        self._step_ns = None if rate_hz is None else round(NS_PER_S / rate_hz)
        self._next_ns: int | None = None

    def due_ns(self) -> int:
        now_ns = time.monotonic_ns()
        if self._step_ns is None:
            return now_ns
        if self._next_ns is None or now_ns - self._next_ns > MAX_LATE_NS:
            self._next_ns = now_ns
        due_ns = self._next_ns
        self._next_ns += self._step_ns
        return due_ns


def _playback_clock(settings: CameraConfig, recorded_hz: float) -> PlaybackClock:
    return PlaybackClock((settings.fps or recorded_hz) if settings.realtime else None)


class ImageStream:
    def __init__(self, name: str, paths: list[Path], settings: CameraConfig, logged_bad: set[Path]) -> None:
        self._name = name
        self._paths = paths
        self._loop = settings.loop
        self._clock = _playback_clock(settings, DEFAULT_FOLDER_HZ)
        self._logged_bad = logged_bad
        self._remaining: Iterator[Path] = iter(paths)
        self._decoded = 0  # of this round

    def read(self, out: U8 | None) -> CapturedImage:
        path = next(self._remaining, None)
        if path is None:
            path = self._restart_or_end()
        image = self._load(path)
        self._decoded += image.size > 0
        due_ns = self._clock.due_ns() if image.size else time.monotonic_ns()
        return CapturedImage(image=image, captured_ns=due_ns, source=printable_path(path), position=0)

    def close(self) -> None:
        self._remaining = iter(())

    def _restart_or_end(self) -> Path:
        """The first file of the next round, if there is to be one."""
        many = len(self._paths)
        if self._decoded == 0:
            raise CameraLost(
                f"{printable_path(self._paths[0])}: none of {many} image(s) can be used; see the lines above"
            )
        if not self._loop:
            raise EndOfSource(f"{self._decoded} of {many} image(s) read")
        self._decoded = 0
        self._remaining = iter(self._paths)
        return next(self._remaining)

    def _load(self, path: Path) -> U8:
        try:
            return load_image(path)
        except CameraLost as bad:
            if path not in self._logged_bad:
                self._logged_bad.add(path)
                log.warning("camera %s: skipped %s", self._name, bad)
            return EMPTY_IMAGE


def load_image(path: Path) -> U8:
    """An image file as upright 8-bit BGR, whatever its depth, palette, alpha and EXIF turn. Raises CameraLost."""
    try:
        image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    except OSError as error:
        raise CameraLost(f"{printable_path(path)}: {error.strerror}") from error
    except cv2.error as error:
        raise CameraLost(f"{printable_path(path)}: empty, or too large to decode") from error
    if image is None:
        raise CameraLost(f"{printable_path(path)}: truncated, or not an image")
    height, width = image.shape[:2]
    least, most = SIDE_LIMITS_PX
    if not (least <= min(height, width) and max(height, width) <= most):
        raise CameraLost(f"{printable_path(path)}: {width}x{height} px; want {least} to {most} px each way")
    return np.asarray(image, np.uint8)


class VideoStream:
    def __init__(self, name: str, path: Path, settings: CameraConfig) -> None:
        self._name = name
        self._path = path
        self._loop = settings.loop
        self._rewound = False  # and not opened anew
        self._open()
        told_hz = self._capture.get(cv2.CAP_PROP_FPS)
        recorded_hz = told_hz if 0 < told_hz <= 1000 else DEFAULT_VIDEO_HZ
        self._clock = _playback_clock(settings, recorded_hz)
        self._step_ns = None if settings.realtime else round(NS_PER_S / recorded_hz)
        self._frames_read = 0  # frames, over all rounds

    def read(self, out: U8 | None) -> CapturedImage:
        while not self._capture.grab():
            self._restart_or_end()
        image = decode(self._capture, out)
        position = self._position
        self._position += 1
        self._decoded += image.size > 0
        recorded_ns = None if self._step_ns is None else self._step_ns * self._frames_read
        self._frames_read += 1
        return CapturedImage(
            image=image,
            captured_ns=self._clock.due_ns(),
            source=str(self._path),
            position=position,
            recorded_ns=recorded_ns,
        )

    def close(self) -> None:
        self._capture.release()

    def _open(self) -> None:
        self._position = self._decoded = 0
        self._capture = cv2.VideoCapture()
        if self._path.suffix.lower() in TEXT_SUFFIXES or not self._capture.open(str(self._path), cv2.CAP_FFMPEG):
            raise CameraLost(f"{self._path}: truncated, or neither a video nor an image")

    def _restart_or_end(self) -> None:
        """At the end of the file: from the start, or no more.

        Rewound where that can be: opened anew for months, a decoder leaves holes in the heap.
        """
        if self._decoded == 0 and not self._rewound:
            raise CameraLost(f"{self._path}: not one frame of this video can be decoded")
        told = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if not self._loop:
            if self._position < 0.95 * told - 1:
                log.warning("camera %s: %s ends early, is it whole?", self._name, self._path)
            raise EndOfSource(f"{self._position} frames read, {max(told, 0)} announced")
        self._rewound = self._decoded > 0 and self._rewind()
        if not self._rewound:
            self.close()
            self._open()

    def _rewind(self) -> bool:
        if self._path.suffix.lower() not in SEEKABLE_SUFFIXES or not self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0):
            return False
        self._position = self._decoded = 0
        return True
