"""The truth of a rendered image: boxes, keypoints, behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tools.synth.types import F32, F64, Flags

OUTSIDE, HIDDEN, VISIBLE = range(3)
SLACK_M = 0.02  # a surface that is nearer by less does not hide a point


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Truth:
    """One subject of one picture, in its pixels."""

    kind: str  # "horse", "person"
    number: int  # the same subject in every frame of a clip
    behaviour: str
    xyxy: F32  # (4,) around every pixel that shows it, tail and mane too
    pixels: int  # number of these
    visible: float  # share of the whole body's pixels, those beyond the picture's edge included
    keypoints: Mapping[str, F32]  # by schema: (K, 3) x, y, v: 2 visible, 1 hidden, 0 outside the picture (x = y = 0)
    space_m: Mapping[str, F64]  # by schema, those of space too: (K, 3) in the camera's frame: x right, y down, z away
    lens: F32  # fx, fy, cx, cy in px; exact where the camera has no barrel distortion

    def as_dict(self) -> dict[str, Any]:
        return {
            "class": self.kind,
            "id": self.number,
            "behaviour": self.behaviour,
            "box": [round(float(v), 1) for v in self.xyxy],
            "pixels": self.pixels,
            "visible": round(self.visible, 3),
            "keypoints": {name: _rounded(points) for name, points in self.keypoints.items()},
        }


def _rounded(points: F32) -> list[list[float]]:
    return [[round(float(x), 1), round(float(y), 1), int(v)] for x, y, v in points]


def judged(at: F64, far_m: F64, radius_m: F64, in_front_m: F32, other: Flags, size_wh: tuple[int, int]) -> F32:
    """Return keypoints (K, 3) x, y, v from their positions in the image and their depths.

    `in_front_m` (K,) is the distance of what is seen there, `other` (K,) whether that is not the subject itself.
    A joint lies below the skin by `radius_m`: what is nearer than that hides it.
    """
    inside = (far_m > 0) & (at >= 0).all(axis=1) & (at < size_wh).all(axis=1)
    hidden = in_front_m < far_m - SLACK_M - np.where(other, 0, 1.25 * radius_m)
    v = np.where(inside, np.where(hidden, HIDDEN, VISIBLE), OUTSIDE)
    return np.concatenate([np.where(inside[:, None], at, 0), v[:, None]], axis=1).astype(np.float32)


def around(mask: Flags) -> F32:
    """Return the box of the pixels of a mask, edges included."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)
