"""A recording as a camera: a video or an animation, an image, or a folder of images.

With `realtime`, frames are due at their recorded times; otherwise each is due as soon as it is decoded.
"""

from __future__ import annotations

from pathlib import Path

import cv2

from edged.capture.camera import Stream
from edged.capture.sources.image_files import ImageStream, images_in
from edged.capture.sources.opencv import configure_opencv
from edged.capture.sources.video_files import VideoStream
from edged.config.tables.camera import CameraConfig
from edged.errors import CameraLost

ANIMATION_SUFFIXES = frozenset([".apng", ".gif"])


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
            images = images_in(path, self._name) if path.is_dir() else None
        except OSError as error:
            raise CameraLost(
                f"{path}: {error.strerror}; give the path of a video, image or folder", "absent"
            ) from error
        if images is not None:
            return ImageStream(self._name, images, self._settings, self._logged_bad)
        if size == 0:
            raise CameraLost(f"{path}: the file is empty; record or copy it again", "empty")
        if path.suffix.lower() not in ANIMATION_SUFFIXES and _is_image(path):
            return ImageStream(self._name, [path], self._settings, self._logged_bad)
        return VideoStream(self._name, path, self._settings)


def _is_image(path: Path) -> bool:
    return cv2.haveImageReader(str(path)) or path.suffix.lower() in (".avif", ".heic", ".heif")
