"""Boxes and depths of the 3DMPPE family against those its authors published for four photographs of COCO."""

from pathlib import Path

import numpy as np
import pytest

from tools.evaluate.benchmark.adapters import coco
from tools.evaluate.benchmark.lift import k_mm, processed

MEDIA = Path(__file__).parents[3] / "shared/data/media"
pytestmark = pytest.mark.skipif(not MEDIA.is_dir(), reason=f"{MEDIA} is not on this machine")

SIZES_WH = {"785": (640, 425), "40083": (500, 333), "196141": (640, 429), "197388": (640, 392)}
LENS = np.array([1500.0, 1500.0, 0.0, 0.0])
PUBLISHED = (  # image, x, y, side of the processed box
    ("785", 173.59, 1.52, 432.10),
    ("40083", 16.37, 89.24, 217.14),
    ("40083", 231.53, 119.91, 191.51),
    ("196141", 144.73, 36.76, 374.72),
    ("196141", 509.20, 85.83, 140.06),
    ("196141", 410.72, 180.58, 262.34),
    ("196141", -8.60, 55.70, 118.85),
    ("197388", 99.749, 72.179, 300.713),
    ("197388", 221.229, 40.944, 205.763),
    ("197388", 450.545, 21.015, 277.950),
    ("197388", 339.376, 112.916, 332.038),
    ("197388", -91.881, 16.354, 273.862),
)


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: f"{row[0]}-{row[3]}")
def test_a_processed_box_is_the_published_one(row: tuple[str, float, float, float]) -> None:
    data = coco.people(MEDIA)
    mine = [i for i in range(len(data)) if data.images[data.image[i]].endswith(f"{row[0]}.jpg")]
    boxes = [processed(data.box_xyxy[i], SIZES_WH[row[0]]) for i in mine]
    assert min(abs(np.array(box) - [*row[1:], row[3]]).max() for box in boxes) < 0.01


def test_k_of_a_box_is_the_published_one() -> None:
    box = processed(np.array([139.41, 102.25, 139.41 + 222.39, 102.25 + 241.57]), (640, 392))
    assert k_mm(box, LENS) == pytest.approx(9976.31, rel=1e-6)
