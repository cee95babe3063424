"""The pictures of a video file in order, as OpenCV decodes them, without their times."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from edged.frame import U8


def clip_images(clip: Path) -> Iterator[U8]:
    """(H, W, 3) BGR each; none for what OpenCV cannot open."""
    video = cv2.VideoCapture(str(clip))
    while (shown := video.read())[0]:
        yield np.asarray(shown[1], np.uint8)
