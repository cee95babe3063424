"""Frames with a known number of people: variants of real photographs, so that no still is timed twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from edged.frame import U8

PHOTOGRAPHS = {1: "coco_000000000785.jpg", 4: "coco_000000196141.jpg"}  # by the people found in them


def frames(media: Path, people: int, count: int, found: Callable[[U8], int]) -> list[U8]:
    """`count` variants (shifted, scaled, brightened, mirrored; seeded) in which `found` sees so many people."""
    photograph = cv2.imread(str(media / PHOTOGRAPHS[people]))
    if photograph is None:
        raise SystemExit(f"{media / PHOTOGRAPHS[people]}: not there; give --media the folder of the photographs")
    rng = np.random.default_rng(people)
    chosen: list[U8] = []
    for _ in range(20 * count):
        image = _variant(np.asarray(photograph, np.uint8), rng)
        if found(image) == people:
            chosen.append(image)
        if len(chosen) == count:
            return chosen
    raise SystemExit(f"only {len(chosen)} of {count} variants of {PHOTOGRAPHS[people]} show {people} people")


def _variant(image: U8, rng: np.random.Generator) -> U8:
    height, width = image.shape[:2]
    scale = rng.uniform(0.92, 1.08)
    shift = rng.uniform(-0.04, 0.04, 2) * (width, height) + (1 - scale) / 2 * np.array([width, height])
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    moved = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    lit = cv2.convertScaleAbs(moved, alpha=rng.uniform(0.85, 1.15))
    return np.ascontiguousarray(lit[:, ::-1] if rng.random() < 0.5 else lit, np.uint8)
