"""Images as a camera: one, or a folder of them in natural order.

A bad file of a folder is logged once and delivered as a frame of size 0, so that it is counted as failed.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from edged.capture.camera import EMPTY_IMAGE, CapturedImage
from edged.capture.sources.depth import to_8_bit
from edged.capture.sources.frame_converter import check_size
from edged.capture.sources.video_files import SEEKABLE_SUFFIXES as VIDEOS
from edged.capture.sources.video_files import PlaybackClock, open_container
from edged.capture.sources.video_reader import VideoReader
from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost, EndOfSource
from edged.frame import U8
from edged.units import NS_PER_S, plural

log = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset([".avif", ".bmp", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"])
DEFAULT_FOLDER_HZ = 5.0  # images of a folder, without `fps`
MAX_NAMED = 5  # files that one line names
AVIF_HEADS = (b"ftypavif", b"ftypavis")
HEIF_HEADS = tuple(b"ftyp" + brand for brand in (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"))
JXL_HEADS = (b"\xff\x0a", b"\0\0\0\x0cJXL ")
FFMPEG_HEADS = (b"P7\n", b"\xff\xd8\xff\xf7")  # PAM and JPEG-LS, which OpenCV reads wrongly or not at all
TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


class ImageStream:
    def __init__(self, name: str, paths: list[Path], settings: CameraConfig, logged: set[Path]) -> None:
        self._name = name
        self._paths = paths
        self._loop = settings.loop
        self._step_ns = round(NS_PER_S / (settings.fps or DEFAULT_FOLDER_HZ))
        self._clock = PlaybackClock(realtime=settings.realtime)
        self._logged = logged  # files of which something was logged
        self._remaining: Iterator[Path] = iter(paths)
        self._decoded = 0  # images in this round
        self._shown = 0  # images in all rounds

    def read(self, out: U8 | None) -> CapturedImage:
        path = next(self._remaining, None)
        if path is None:
            path = self._restart_or_end()
        image = self._load(path)
        due_ns = self._clock.due_ns(self._shown * self._step_ns)
        self._decoded += image.size > 0
        self._shown += image.size > 0
        return CapturedImage(image=image, captured_ns=due_ns, source=printable_path(path), position=0)

    def close(self) -> None:
        self._remaining = iter(())

    def _restart_or_end(self) -> Path:
        """The first file of the next round. Raises EndOfSource, or CameraLost when no image was good."""
        many = len(self._paths)
        if self._decoded == 0:
            text = f"{printable_path(self._paths[0])}: none of {plural(many, 'image')} can be used; see the lines above"
            raise CameraLost(text, "undecodable")
        if not self._loop:
            raise EndOfSource(f"{self._decoded} of {plural(many, 'image')} read")
        self._decoded = 0
        self._remaining = iter(self._paths)
        return next(self._remaining)

    def _load(self, path: Path) -> U8:
        try:
            image = load_image(path)
        except CameraLost as bad:
            self._log_once(path, f"skipped {bad}")
            return EMPTY_IMAGE
        if path not in self._logged and (pages := _pages(path)) > 1:
            self._log_once(path, f"{printable_path(path)} holds {pages} pictures, and the first is used; split it")
        return image

    def _log_once(self, path: Path, text: str) -> None:
        if path not in self._logged:
            self._logged.add(path)
            log.warning("camera %s: %s", self._name, text)


def images_in(folder: Path, name: str) -> list[Path]:
    """The images of a folder in natural order; what else it holds is logged. Raises OSError, CameraLost."""
    files = sorted((entry for entry in folder.iterdir() if not entry.name.startswith(".")), key=natural_key)
    images = [entry for entry in files if entry.suffix.lower() in IMAGE_SUFFIXES]
    others = [printable_path(Path(entry.name)) for entry in files if entry not in set(images)]
    if not images:
        raise CameraLost(f"{folder}: no image in this folder; want {' '.join(sorted(IMAGE_SUFFIXES))}", "empty")
    if others:
        named = ", ".join(others[:MAX_NAMED]) + (", …" if len(others) > MAX_NAMED else "")
        hint = "; give a video by its own path" if any(Path(other).suffix.lower() in VIDEOS for other in others) else ""
        log.warning(
            "camera %s: %s: left out %d that are no images we read: %s%s", name, folder, len(others), named, hint
        )
    return images


def natural_key(path: Path) -> list[tuple[bool, int, str]]:
    """Sort key under which frame9 comes before frame10."""
    parts = re.split(r"(\d+)", path.name)
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def printable_path(path: Path) -> str:
    """The path as valid UTF-8: a file's name may hold other bytes."""
    return os.fsencode(path).decode(errors="replace")


def load_image(path: Path) -> U8:
    """An image file as (H, W, 3) uint8 BGR, upright by its own tag, of any depth or palette. Raises CameraLost."""
    shown = printable_path(path)
    try:
        content = np.fromfile(path, np.uint8)
        head = bytes(content[:12])
        if head[4:12] in AVIF_HEADS or head.startswith(FFMPEG_HEADS):
            return _first_picture(path)
        if kind := unread_kind(head):
            raise CameraLost(f"{shown}: {kind} is not read; save it as JPEG, PNG or AVIF", "undecodable")
        image = cv2.imdecode(content, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
        if image is None:  # grey of 32 bits or more
            image = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    except OSError as error:
        raise CameraLost(f"{shown}: {error.strerror}", "unreadable") from error
    except cv2.error as error:
        raise CameraLost(f"{shown}: empty, or of more than 67 megapixels", "undecodable") from error
    if image is None:
        raise CameraLost(f"{shown}: truncated, or not an image", "undecodable")
    try:
        check_size((image.shape[1], image.shape[0]))
        return to_8_bit(image)
    except CameraLost as error:
        raise CameraLost(f"{shown}: {error}", error.code) from error


def unread_kind(head: bytes) -> str:
    """The name of the kind of image that begins so, if it is one that is not read here; else empty."""
    if head[4:12] in HEIF_HEADS:
        return "HEIC"
    return "JPEG XL" if head.startswith(JXL_HEADS) else ""


def _pages(path: Path) -> int:
    """How many pictures a TIFF holds; 1 for any other file, and for one that has gone since it was read."""
    with suppress(OSError), path.open("rb") as file:
        if file.read(4).startswith(TIFF_HEADS):
            return int(cv2.imcount(str(path)))
    return 1


def _first_picture(path: Path) -> U8:
    """The first picture of a file, by FFmpeg, which knows its orientation."""
    container = open_container(path)
    try:
        reader = VideoReader(container, live=False, transport=False)
        while (picture := reader.poll()) is None:
            pass
        return reader.image(picture, None)
    except (EOFError, OSError) as error:
        raise CameraLost(f"{printable_path(path)}: truncated, or not an image", "undecodable") from error
    finally:
        container.close()
