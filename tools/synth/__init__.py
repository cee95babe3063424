"""Rendered scenes with exact truth: horses and people in stalls and yards.

    for image, truths in synth.scenes(seed=1, count=100, size_wh=(640, 360), kind="horse"): ...

`image` is (H, W, 3) uint8 BGR; each `Truth` has kind, behaviour, xyxy, visible, keypoints by schema (x, y, v).
Needs the `synth` extra (numba). The same seed and number give the same picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tools.synth.truth import Truth
    from tools.synth.types import U8

KINDS = ("horse", "person", "both", "passing", "watched", "empty")


def scene(seed: int, number: int, size_wh: tuple[int, int] = (640, 360), kind: str = "both") -> tuple[U8, list[Truth]]:
    """Return one random image of a kind (`KINDS`) and its subjects; `empty` has none,
    in `passing` people cross between the camera and a horse or are cut by the picture's edge,
    `watched` is a stall as a monitoring camera sees it."""
    from tools.synth.scatter import picture  # noqa: PLC0415

    return picture(seed, number, size_wh, kind)


def scenes(
    seed: int, count: int, size_wh: tuple[int, int] = (640, 360), kind: str = "both", first: int = 0
) -> Iterator[tuple[U8, list[Truth]]]:
    """Yield `count` random images, numbered from `first`."""
    for number in range(first, first + count):
        yield scene(seed, number, size_wh, kind)
