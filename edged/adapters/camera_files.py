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

from edged import config
from edged.adapters.opencv import NOTHING, decode, prepare
from edged.errors import CameraLost, EndOfSource
from edged.frame import U8
from edged.ports import Shot, Stream
from edged.units import NS_PER_S

log = logging.getLogger(__name__)

IMAGES = frozenset([".bmp", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"])
TEXT = frozenset([".ans", ".asc", ".nfo", ".txt"])  # FFmpeg would play these as a video of a terminal
INDEXED = frozenset([".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"])  # FFmpeg finds the start of these again
SIDE_PX = (16, 16384)  # what we take for a camera image
VIDEO_HZ = 25.0  # when a video does not say its rate
FOLDER_HZ = 5.0
LATE_NS = NS_PER_S  # beyond this, the timeline slips instead of running after the clock


class FileCamera:
    def __init__(self, name: str, settings: config.Camera) -> None:
        prepare()
        self._name = name
        self._settings = settings
        self._bad: set[Path] = set()  # named in the log already

    def open(self) -> Stream:
        path = Path(self._settings.source).expanduser()
        try:
            size = path.stat().st_size
            images = _listed(path)
        except OSError as error:
            raise CameraLost(f"{path}: {error.strerror}; give the path of a video, image or folder") from error
        if images is not None:
            return ImageStream(self._name, images, self._settings, self._bad)
        if size == 0:
            raise CameraLost(f"{path}: the file is empty; record or copy it again")
        if cv2.haveImageReader(str(path)):
            return ImageStream(self._name, [path], self._settings, self._bad)
        return VideoStream(self._name, path, self._settings)


def _listed(path: Path) -> list[Path] | None:
    """The images of a folder in natural order; None when the path is no folder. Raises OSError."""
    if not path.is_dir():
        return None
    images = [entry for entry in path.iterdir() if entry.suffix.lower() in IMAGES]
    if not images:
        raise CameraLost(f"{path}: no image in this folder; want {' '.join(sorted(IMAGES))}")
    return sorted(images, key=natural)


def natural(path: Path) -> list[tuple[bool, int, str]]:
    """Sort key under which frame9 comes before frame10."""
    parts = re.split(r"(\d+)", path.name)
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def told(path: Path) -> str:
    """The path as it can be sent: a file's name need not be UTF-8."""
    return os.fsencode(path).decode(errors="replace")


class Pace:
    """When recorded frames are due, at a rate; None: at once."""

    def __init__(self, rate_hz: float | None) -> None:
        self._step_ns = None if rate_hz is None else round(NS_PER_S / rate_hz)
        self._next_ns: int | None = None

    def due_ns(self) -> int:
        now_ns = time.monotonic_ns()
        if self._step_ns is None:
            return now_ns
        if self._next_ns is None or now_ns - self._next_ns > LATE_NS:
            self._next_ns = now_ns
        due_ns = self._next_ns
        self._next_ns += self._step_ns
        return due_ns


def _pace(settings: config.Camera, recorded_hz: float) -> Pace:
    return Pace((settings.fps or recorded_hz) if settings.realtime else None)


class ImageStream:
    def __init__(self, name: str, paths: list[Path], settings: config.Camera, bad: set[Path]) -> None:
        self._name = name
        self._paths = paths
        self._loop = settings.loop
        self._pace = _pace(settings, FOLDER_HZ)
        self._bad = bad
        self._rest: Iterator[Path] = iter(paths)
        self._good = 0  # of this round

    def read(self, out: U8 | None) -> Shot:
        path = next(self._rest, None)
        if path is None:
            path = self._again()
        image = self._load(path)
        self._good += image.size > 0
        due_ns = self._pace.due_ns() if image.size else time.monotonic_ns()
        return Shot(image=image, captured_ns=due_ns, source=told(path), position=0)

    def close(self) -> None:
        self._rest = iter(())

    def _again(self) -> Path:
        """The first file of the next round, if there is to be one."""
        many = len(self._paths)
        if self._good == 0:
            raise CameraLost(f"{told(self._paths[0])}: none of {many} image(s) can be used; see the lines above")
        if not self._loop:
            raise EndOfSource(f"{self._good} of {many} image(s) read")
        self._good = 0
        self._rest = iter(self._paths)
        return next(self._rest)

    def _load(self, path: Path) -> U8:
        try:
            return load(path)
        except CameraLost as bad:
            if path not in self._bad:
                self._bad.add(path)
                log.warning("camera %s: skipped %s", self._name, bad)
            return NOTHING


def load(path: Path) -> U8:
    """An image file as upright 8-bit BGR, whatever its depth, palette, alpha and EXIF turn. Raises CameraLost."""
    try:
        image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    except OSError as error:
        raise CameraLost(f"{told(path)}: {error.strerror}") from error
    except cv2.error as error:
        raise CameraLost(f"{told(path)}: empty, or too large to decode") from error
    if image is None:
        raise CameraLost(f"{told(path)}: truncated, or not an image")
    height, width = image.shape[:2]
    least, most = SIDE_PX
    if not (least <= min(height, width) and max(height, width) <= most):
        raise CameraLost(f"{told(path)}: {width}x{height} px; want {least} to {most} px each way")
    return np.asarray(image, np.uint8)


class VideoStream:
    def __init__(self, name: str, path: Path, settings: config.Camera) -> None:
        self._name = name
        self._path = path
        self._loop = settings.loop
        self._rewound = False  # and not opened anew
        self._open()
        told_hz = self._capture.get(cv2.CAP_PROP_FPS)
        recorded_hz = told_hz if 0 < told_hz <= 1000 else VIDEO_HZ
        self._pace = _pace(settings, recorded_hz)
        self._step_ns = None if settings.realtime else round(NS_PER_S / recorded_hz)
        self._read = 0  # frames, over all rounds

    def read(self, out: U8 | None) -> Shot:
        while not self._capture.grab():
            self._again()
        image = decode(self._capture, out)
        position = self._position
        self._position += 1
        self._good += image.size > 0
        recorded_ns = None if self._step_ns is None else self._step_ns * self._read
        self._read += 1
        return Shot(
            image=image,
            captured_ns=self._pace.due_ns(),
            source=str(self._path),
            position=position,
            recorded_ns=recorded_ns,
        )

    def close(self) -> None:
        self._capture.release()

    def _open(self) -> None:
        self._position = self._good = 0
        self._capture = cv2.VideoCapture()
        if self._path.suffix.lower() in TEXT or not self._capture.open(str(self._path), cv2.CAP_FFMPEG):
            raise CameraLost(f"{self._path}: truncated, or neither a video nor an image")

    def _again(self) -> None:
        """At the end of the file: from the start, or no more.

        Rewound where that can be: opened anew for months, a decoder leaves holes in the heap.
        """
        if self._good == 0 and not self._rewound:
            raise CameraLost(f"{self._path}: not one frame of this video can be decoded")
        told = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if not self._loop:
            if self._position < 0.95 * told - 1:
                log.warning("camera %s: %s ends early, is it whole?", self._name, self._path)
            raise EndOfSource(f"{self._position} frames read, {max(told, 0)} announced")
        self._rewound = self._good > 0 and self._rewind()
        if not self._rewound:
            self.close()
            self._open()

    def _rewind(self) -> bool:
        if self._path.suffix.lower() not in INDEXED or not self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0):
            return False
        self._position = self._good = 0
        return True
