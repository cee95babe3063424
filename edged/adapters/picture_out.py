"""A picture into a JPEG or PNG file, complete or not there at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import cv2

from edged.errors import NotWritten
from edged.frame import U8

SUFFIXES = (".jpg", ".jpeg", ".png")


def write_picture(path: Path, image: U8) -> None:
    """Encode the BGR image by the name's ending. Raises `NotWritten`; an older file is then left as it was."""
    if path.suffix.lower() not in SUFFIXES:
        raise NotWritten(f"{path}: cannot tell the format; end the name in one of {', '.join(SUFFIXES)}")
    _, encoded = cv2.imencode(path.suffix.lower(), image)
    part = path.with_name(f".{path.name}.part")
    try:
        _replace(part, path, encoded.tobytes())
    except OSError as exc:
        with suppress(OSError):
            part.unlink()
        raise NotWritten(f"{path}: {exc.strerror}. Choose a folder that can be written and has room") from exc


def _replace(part: Path, path: Path, content: bytes) -> None:
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
