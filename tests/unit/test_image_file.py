"""Images as files and as JPEG bytes of limited size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edged.drawing.image_file import encode_jpeg, write_image
from edged.errors import NotWritten
from edged.frame import U8
from tests.support.raising import raises_code


def flat(level: int) -> U8:
    return np.full((4, 6, 3), level, np.uint8)


def test_write_image_leaves_the_complete_file_only(tmp_path: Path) -> None:
    write_image(tmp_path / "yard.png", flat(90))
    assert [path.name for path in tmp_path.iterdir()] == ["yard.png"]
    assert (np.asarray(cv2.imread(str(tmp_path / "yard.png"))) == 90).all()


@pytest.mark.parametrize(
    ("name", "code"),
    [("no/yard.jpg", "folder"), ("file/yard.jpg", "folder"), ("yard.bmp", "suffix")],
    ids=["no folder", "a file for a folder", "format"],
)
def test_write_image_error_names_its_cause(tmp_path: Path, name: str, code: str) -> None:
    (tmp_path / "file").touch()
    with raises_code(NotWritten, code):
        write_image(tmp_path / name, flat(90))


def noise(width: int, height: int) -> U8:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)


@pytest.mark.parametrize("kilobytes", [1000, 100, 30, 10])
def test_encode_jpeg_fits_the_limit(kilobytes: int) -> None:
    encoded, (width, height) = encode_jpeg(noise(640, 480), kilobytes * 1000)
    image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (height, width, 3)
    assert len(encoded) <= kilobytes * 1000
    assert (width == 640) == (kilobytes == 1000)
    assert width / height == pytest.approx(4 / 3, abs=0.02)


def test_encode_jpeg_impossible_limit_is_rejected() -> None:
    with raises_code(NotWritten, "size"):
        encode_jpeg(noise(640, 480), 100)
