"""An image as a JPEG or PNG file, written atomically, or as JPEG bytes of limited size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edged.errors import NotWritten
from edged.frame import U8
from engines.store.disk import write

SUFFIXES = (".jpg", ".jpeg", ".png")
JPEG_QUALITIES = (88, 75, 60)  # tried in this order at each scale
JPEG_SCALES = (1.0, 0.7, 0.5, 0.35, 0.25, 0.15)


def write_image(path: Path, image: U8) -> None:
    """Write (H, W, 3) uint8 BGR in the format of the name's ending. Raises NotWritten; an older file is then kept."""
    if path.suffix.lower() not in SUFFIXES:
        raise NotWritten(f"{path}: unknown format; end the name in one of {', '.join(SUFFIXES)}", "suffix")
    _, encoded = cv2.imencode(path.suffix.lower(), image)
    try:
        write(path, encoded.tobytes())
    except OSError as exc:
        raise NotWritten(f"{path}: {exc.strerror}. Choose a writable folder with free space", "folder") from exc


def shrunk(image: U8, max_side_px: int) -> U8:
    """The image, (H, W, 3) uint8, its longer side at most so long; itself when it fits."""
    scale = max_side_px / max(image.shape[:2])
    return (
        image if scale >= 1 else np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    )


def decode_jpeg(jpeg: bytes) -> U8:
    """(H, W, 3) uint8 BGR of a JPEG that `encode_jpeg` made."""
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def encode_jpeg(image: U8, max_bytes: int) -> tuple[bytes, tuple[int, int]]:
    """A JPEG of at most `max_bytes` of an (H, W, 3) uint8 BGR image; its width and height in px. Raises NotWritten."""
    for scale in JPEG_SCALES:
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
        for quality in JPEG_QUALITIES:
            _, encoded = cv2.imencode(".jpg", small, (cv2.IMWRITE_JPEG_QUALITY, quality))
            if encoded.size <= max_bytes:
                return encoded.tobytes(), (small.shape[1], small.shape[0])
    text = f"an image of {image.shape[1]} x {image.shape[0]} px does not fit {max_bytes} bytes; allow more"
    raise NotWritten(text, "size")
