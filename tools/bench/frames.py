"""Frames with a given number of people: photographs with a simulated camera sway, in a grid for several people.

A scene is one photograph or one grid over a few frames, all of them different; a benchmark uses many scenes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edged.frame import U8
from tools.bench.unavailable import Unavailable

SIZE_WH = 640, 480  # of a USB camera
FRAMES = 10  # of a scene
GREY = 114  # between photographs
# Photographs per row and column, by number of people: more than people, as nets miss some.
GRIDS = {1: 1, 2: 2, 4: 3, 16: 3}
CROWDED = 16  # number of people from which only the photographs with most people are used


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BenchFrame:
    """One frame, in both channel orders."""

    bgr: U8
    rgb: U8
    scene: str


Scene = list[BenchFrame]


def photographs(folder: Path) -> list[U8]:
    if not (paths := sorted(folder.glob("*.jpg"))):
        raise Unavailable(f"{folder}: no *.jpg in this folder; set --photographs")
    return [np.asarray(cv2.imread(str(path)), np.uint8) for path in paths]


def scenes(images: Sequence[U8], people: int, count: int, count_people: Callable[[BenchFrame], int]) -> list[Scene]:
    """`count` scenes with at least `people` in their first and last frame, counted by `count_people`."""
    if people >= CROWDED:
        fullest = sorted(
            images, key=lambda image: -count_people(_bench_frame(sway(_letterboxed(image, SIZE_WH), 0), ""))
        )
        images = fullest[: max(1, len(images) // 4)]
    chosen: list[Scene] = []
    for number, grid in enumerate(_grids(images, GRIDS[people], 4 * count)):
        scene = [_bench_frame(sway(grid, step), f"{people}-{number}") for step in range(FRAMES)]
        if all(count_people(frame) >= people for frame in (scene[0], scene[-1])):
            chosen.append(scene)
        if len(chosen) == count:
            return chosen
    raise Unavailable(f"only {len(chosen)} of {count} scenes show {people} people; add photographs to --photographs")


def sway(image: U8, step: int) -> U8:
    """Return the image moved by up to 1 %, scaled by up to 2 %, with changing light, at incommensurable frequencies."""
    (height, width), (out_w, out_h) = image.shape[:2], SIZE_WH
    scale = 1 + 0.02 * np.sin(step / 17)
    sway = 0.01 * np.array([np.sin(step / 11), np.cos(step / 13)]) * (width, height)
    shift = sway + (np.array(SIZE_WH) - scale * np.array([width, height])) / 2
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    moved = cv2.warpAffine(image, matrix, (out_w, out_h), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.convertScaleAbs(moved, alpha=1 + 0.05 * np.sin(step / 7)), np.uint8)


def _grids(images: Sequence[U8], side: int, limit: int) -> Iterator[U8]:
    """Yield grids of side x side photographs; every photograph is used before one is repeated."""
    rng = np.random.default_rng(side)
    cell_wh = SIZE_WH[0] // side, SIZE_WH[1] // side
    order: list[int] = []
    for _ in range(limit):
        while len(order) < side * side:
            order += rng.permutation(len(images)).tolist()
        chosen, order = order[: side * side], order[side * side :]
        cells = [_letterboxed(images[i], cell_wh) for i in chosen]
        yield np.vstack([np.hstack(cells[at : at + side]) for at in range(0, len(cells), side)])


def _letterboxed(image: U8, size_wh: tuple[int, int]) -> U8:
    """Return the whole image, scaled, in the middle of a grey cell."""
    scale = min(size_wh[0] / image.shape[1], size_wh[1] / image.shape[0])
    small = cv2.resize(image, None, fx=scale, fy=scale)[: size_wh[1], : size_wh[0]]
    cell = np.full((size_wh[1], size_wh[0], 3), GREY, np.uint8)
    x, y = (size_wh[0] - small.shape[1]) // 2, (size_wh[1] - small.shape[0]) // 2
    cell[y : y + small.shape[0], x : x + small.shape[1]] = small
    return cell


def _bench_frame(image: U8, scene: str) -> BenchFrame:
    return BenchFrame(bgr=image, rgb=np.ascontiguousarray(image[..., ::-1]), scene=scene)
