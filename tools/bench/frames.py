"""Real frames with enough people in them: photographs before which the camera sways, in a grid where many are wanted.

A scene is one photograph, or one grid of them, over a few frames, no two alike; a benchmark goes through many scenes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edged.frame import U8
from tools.bench.absent import Absent

SIZE_WH = 640, 480  # of a USB camera
FRAMES = 10  # of a scene
GREY = 114  # between photographs
GRIDS = {1: 1, 2: 2, 4: 3, 16: 3}  # photographs per row and column for so many people: some show nobody to a net
CROWDED = 16  # people from which only the photographs with most people are taken


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shown:
    """One frame, as contenders want it."""

    bgr: U8
    rgb: U8
    scene: str


Scene = list[Shown]


def photographs(folder: Path) -> list[U8]:
    if not (paths := sorted(folder.glob("*.jpg"))):
        raise Absent(f"{folder}: no photographs there; give --photographs a folder of them")
    return [np.asarray(cv2.imread(str(path)), np.uint8) for path in paths]


def scenes(images: Sequence[U8], people: int, count: int, found: Callable[[Shown], int]) -> list[Scene]:
    """`count` scenes whose first and last frame show at least so many people to `found`."""
    if people >= CROWDED:
        fullest = sorted(images, key=lambda image: -found(_shown(swayed(_fitted(image, SIZE_WH), 0), "")))
        images = fullest[: max(1, len(images) // 4)]
    chosen: list[Scene] = []
    for number, grid in enumerate(_grids(images, GRIDS[people], 4 * count)):
        scene = [_shown(swayed(grid, step), f"{people}-{number}") for step in range(FRAMES)]
        if all(found(shown) >= people for shown in (scene[0], scene[-1])):
            chosen.append(scene)
        if len(chosen) == count:
            return chosen
    raise Absent(f"only {len(chosen)} of {count} scenes show {people} people; give --photographs more of them")


def swayed(image: U8, step: int) -> U8:
    """Moved by up to 1 % of the image, scaled by up to 2 %, its light changing, at incommensurable speeds."""
    (height, width), (out_w, out_h) = image.shape[:2], SIZE_WH
    scale = 1 + 0.02 * np.sin(step / 17)
    sway = 0.01 * np.array([np.sin(step / 11), np.cos(step / 13)]) * (width, height)
    shift = sway + (np.array(SIZE_WH) - scale * np.array([width, height])) / 2
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    moved = cv2.warpAffine(image, matrix, (out_w, out_h), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.convertScaleAbs(moved, alpha=1 + 0.05 * np.sin(step / 7)), np.uint8)


def _grids(images: Sequence[U8], side: int, most: int) -> Iterator[U8]:
    """Frames of side x side photographs, every photograph used before one is used again."""
    rng = np.random.default_rng(side)
    cell_wh = SIZE_WH[0] // side, SIZE_WH[1] // side
    order: list[int] = []
    for _ in range(most):
        while len(order) < side * side:
            order += rng.permutation(len(images)).tolist()
        drawn, order = order[: side * side], order[side * side :]
        cells = [_fitted(images[i], cell_wh) for i in drawn]
        yield np.vstack([np.hstack(cells[at : at + side]) for at in range(0, len(cells), side)])


def _fitted(image: U8, size_wh: tuple[int, int]) -> U8:
    """The whole image in the middle of a grey cell."""
    scale = min(size_wh[0] / image.shape[1], size_wh[1] / image.shape[0])
    small = cv2.resize(image, None, fx=scale, fy=scale)[: size_wh[1], : size_wh[0]]
    cell = np.full((size_wh[1], size_wh[0], 3), GREY, np.uint8)
    x, y = (size_wh[0] - small.shape[1]) // 2, (size_wh[1] - small.shape[0]) // 2
    cell[y : y + small.shape[0], x : x + small.shape[1]] = small
    return cell


def _shown(image: U8, scene: str) -> Shown:
    return Shown(bgr=image, rgb=np.ascontiguousarray(image[..., ::-1]), scene=scene)
