"""Recorded frames as a camera: a video, an image, or a folder of images in natural order.

With `realtime`, frames are due at the recorded rate; otherwise each is due as soon as it is decoded.
A bad file of a folder is logged once and delivered as a frame of size 0, so that it is counted as failed.
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

from edged.capture.camera import EMPTY_IMAGE, CapturedImage, Stream
from edged.capture.sources.opencv import configure_opencv, decode
from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost, EndOfSource
from edged.frame import U8
from edged.units import NS_PER_S

log = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset([".bmp", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"])
TEXT_SUFFIXES = frozenset([".ans", ".asc", ".nfo", ".txt"])  # FFmpeg would play these as a video of a terminal
SEEKABLE_SUFFIXES = frozenset([".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"])  # FFmpeg can rewind these
SIDE_LIMITS_PX = (16, 16384)  # of an image that is accepted as a camera's
DEFAULT_VIDEO_HZ = 25.0  # of a video without a rate
MAX_VIDEO_HZ = 1000.0  # a higher rate in a file's header is wrong
DEFAULT_FOLDER_HZ = 5.0
MAX_LATE_NS = NS_PER_S  # a frame later than this shifts the timeline; there is no catching up
COMPLETE_SHARE = 0.95  # of the announced frames; fewer, and the file is reported as cut off


class FileCamera:
    def __init__(self, name: str, settings: CameraConfig) -> None:
        configure_opencv()
        self._name = name
        self._settings = settings
        self._logged_bad: set[Path] = set()  # each bad file is logged once

    def open(self) -> Stream:
        path = Path(self._settings.source).expanduser()
        try:
            size = path.stat().st_size
            images = _images_in(path)
        except OSError as error:
            raise CameraLost(
                f"{path}: {error.strerror}; give the path of a video, image or folder", "absent"
            ) from error
        if images is not None:
            return ImageStream(self._name, images, self._settings, self._logged_bad)
        if size == 0:
            raise CameraLost(f"{path}: the file is empty; record or copy it again", "empty")
        if cv2.haveImageReader(str(path)):
            return ImageStream(self._name, [path], self._settings, self._logged_bad)
        return VideoStream(self._name, path, self._settings)


def _images_in(path: Path) -> list[Path] | None:
    """The images of a folder in natural order; None when the path is not a folder. Raises OSError, CameraLost."""
    if not path.is_dir():
        return None
    images = [entry for entry in path.iterdir() if entry.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        raise CameraLost(f"{path}: no image in this folder; want {' '.join(sorted(IMAGE_SUFFIXES))}", "empty")
    return sorted(images, key=natural_key)


def natural_key(path: Path) -> list[tuple[bool, int, str]]:
    """Sort key under which frame9 comes before frame10."""
    parts = re.split(r"(\d+)", path.name)
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def printable_path(path: Path) -> str:
    """The path as valid UTF-8: a file's name may hold other bytes."""
    return os.fsencode(path).decode(errors="replace")


class PlaybackClock:
    """When recorded frames are due. `rate_hz` None: immediately."""

    def __init__(self, rate_hz: float | None) -> None:
        self._step_ns = None if rate_hz is None else round(NS_PER_S / rate_hz)
        self._next_ns: int | None = None

    def due_ns(self) -> int:
        """The next frame's due time, CLOCK_MONOTONIC."""
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
        self._decoded = 0  # images in this round

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
        """The first file of the next round. Raises EndOfSource, or CameraLost when no image was good."""
        many = len(self._paths)
        if self._decoded == 0:
            text = f"{printable_path(self._paths[0])}: none of {many} image(s) can be used; see the lines above"
            raise CameraLost(text, "undecodable")
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
    """An image file as (H, W, 3) uint8 BGR, upright by its EXIF tag, from any depth or palette. Raises CameraLost."""
    try:
        image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    except OSError as error:
        raise CameraLost(f"{printable_path(path)}: {error.strerror}", "unreadable") from error
    except cv2.error as error:
        raise CameraLost(f"{printable_path(path)}: empty, or too large to decode", "undecodable") from error
    if image is None:
        raise CameraLost(f"{printable_path(path)}: truncated, or not an image", "undecodable")
    height, width = image.shape[:2]
    low, high = SIDE_LIMITS_PX
    if not (low <= min(height, width) and max(height, width) <= high):
        raise CameraLost(f"{printable_path(path)}: {width}x{height} px; want {low} to {high} px each way", "size")
    return np.asarray(image, np.uint8)


class VideoStream:
    def __init__(self, name: str, path: Path, settings: CameraConfig) -> None:
        self._name = name
        self._path = path
        self._loop = settings.loop
        self._rewound = False  # this round began by rewinding, not by opening the file again
        self._open()
        header_hz = self._capture.get(cv2.CAP_PROP_FPS)
        recorded_hz = header_hz if 0 < header_hz <= MAX_VIDEO_HZ else DEFAULT_VIDEO_HZ
        self._clock = _playback_clock(settings, recorded_hz)
        self._step_ns = None if settings.realtime else round(NS_PER_S / recorded_hz)
        self._frames_read = 0  # over all rounds

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
            raise CameraLost(f"{self._path}: truncated, or neither a video nor an image", "undecodable")

    def _restart_or_end(self) -> None:
        """Begin the next round at the end of the file. Raises EndOfSource when there is none.

        Rewinds where it can: a decoder opened again and again for months fragments the heap.
        """
        if self._decoded == 0 and not self._rewound:
            raise CameraLost(f"{self._path}: not one frame of this video can be decoded", "undecodable")
        announced = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if not self._loop:
            if self._position < COMPLETE_SHARE * announced - 1:
                log.warning("camera %s: %s ends early, is it whole?", self._name, self._path)
            raise EndOfSource(f"{self._position} frames read, {max(announced, 0)} announced")
        self._rewound = self._decoded > 0 and self._rewind()
        if not self._rewound:
            self.close()
            self._open()

    def _rewind(self) -> bool:
        if self._path.suffix.lower() not in SEEKABLE_SUFFIXES or not self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0):
            return False
        self._position = self._decoded = 0
        return True
