"""Frames with a known number of people: a slow pan and zoom over real photographs, no two frames alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from edged.frame import U8

SIZE_WH = 640, 480  # of a USB camera
PHOTOGRAPHS = {1: "coco_000000000785.jpg", 4: "coco_000000196141.jpg"}  # by the people found in them


def frames(media: Path, people: int, count: int, found: Callable[[U8, U8], int]) -> list[tuple[U8, U8]]:
    """`count` frames, BGR and RGB, of a camera swaying before the photograph; `found` sees so many people in each."""
    photograph = cv2.imread(str(media / PHOTOGRAPHS[people]))
    if photograph is None:
        raise SystemExit(f"{media / PHOTOGRAPHS[people]}: not there; give --media the folder of the photographs")
    chosen: list[tuple[U8, U8]] = []
    for step in range(20 * count):
        image = swayed(np.asarray(photograph, np.uint8), step)
        rgb = np.ascontiguousarray(image[..., ::-1])
        if found(image, rgb) == people:
            chosen.append((image, rgb))
        if len(chosen) == count:
            return chosen
    raise SystemExit(f"only {len(chosen)} of {count} views of {PHOTOGRAPHS[people]} show {people} people")


def swayed(image: U8, step: int) -> U8:
    """Moved by up to 1 % of the image, scaled by up to 2 %, its light changing, at incommensurable speeds."""
    (height, width), (out_w, out_h) = image.shape[:2], SIZE_WH
    scale = 1 + 0.02 * np.sin(step / 17)
    sway = 0.01 * np.array([np.sin(step / 11), np.cos(step / 13)]) * (width, height)
    shift = sway + (np.array(SIZE_WH) - scale * np.array([width, height])) / 2
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    moved = cv2.warpAffine(image, matrix, (out_w, out_h), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.convertScaleAbs(moved, alpha=1 + 0.05 * np.sin(step / 7)), np.uint8)
