"""A recording as a camera: a video or an animation, an image, or a folder of images.

With `realtime`, frames are due at their recorded times; otherwise each is due as soon as it is decoded.
"""

from __future__ import annotations

from pathlib import Path

import cv2

from edged.capture.camera import Stream
from edged.capture.sources.animation import AnimationStream
from edged.capture.sources.image_files import ImageStream, images_in, unread_kind
from edged.capture.sources.opencv import configure_opencv
from edged.capture.sources.video_files import VideoStream
from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost

HEAD_BYTES = 4096  # of a file, in which it says what it is
MOTION_JPEG_SUFFIXES = frozenset([".mjpeg", ".mjpg"])  # images in a row, which begins as one image does


class FileCamera:
    def __init__(self, name: str, settings: CameraConfig) -> None:
        configure_opencv()
        self._name = name
        self._settings = settings
        self._logged: set[Path] = set()  # of each file something is logged once at most

    def open(self) -> Stream:
        path = Path(self._settings.source.reveal()).expanduser()
        try:
            size = path.stat().st_size
            images = images_in(path, self._name) if path.is_dir() else None
        except OSError as error:
            raise CameraLost(
                f"{path}: {error.strerror}; give the path of a video, image or folder", "absent"
            ) from error
        if images is not None:
            return ImageStream(self._name, images, self._settings, self._logged)
        if size == 0:
            raise CameraLost(f"{path}: the file is empty; record or copy it again", "empty")
        if _is_animated_webp(_head(path)):
            return AnimationStream(path, self._settings)
        if is_still(path):
            return ImageStream(self._name, [path], self._settings, self._logged)
        return VideoStream(self._name, path, self._settings)


def is_still(path: Path) -> bool:
    """Whether the file is one image, and neither an animation nor a video."""
    head = _head(path)
    moves = _is_animation(head) or _is_animated_webp(head) or path.suffix.lower() in MOTION_JPEG_SUFFIXES
    return (cv2.haveImageReader(str(path)) and not moves) or bool(unread_kind(head))


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _is_animation(head: bytes) -> bool:
    """Whether FFmpeg plays it as a video: GIF, animated PNG or AVIF."""
    return head.startswith(b"GIF8") or (head.startswith(b"\x89PNG") and b"acTL" in head) or head[4:12] == b"ftypavis"


def _is_animated_webp(head: bytes) -> bool:
    return head[8:12] == b"WEBP" and b"ANIM" in head[:64]
