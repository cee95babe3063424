"""A horse on a ground of known size, as if seen from above: the same wherever it stands, however it is turned.

A trunk on the ground looks shorter than one at the height at which the horse stands, whichever way it lies; and how
far the hooves are from it along the ground tells folded legs from stretched ones. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edged.behaviour.horse.behaviours import mean
from edged.behaviour.horse.ground_plane import GroundPlane
from edged.behaviour.horse.points import HOOVES, NECK, NOSE, OPPOSITE_ROOTS, ROOTS, TAIL
from edged.frame import F64

STANDING_M = 1.3  # the trunk of a horse that stands, until its own height is known; and the plane of all plans
HOOF_M, LAIN_M = 0.05, 0.3  # above the ground: a hoof; the shoulders and hips of who lies
FLANK, BESIDE_IT = (0.05, 0.95), (0.15, 0.75)  # where the nose is when it looks back: along the trunk, and from it
LEAST_LEGS = 2

XY = Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BodySize:
    """What is known of a horse in its stall."""

    length_px: float | None = None  # of its body, usually
    ground: GroundPlane | None = None
    length_m: float | None = None  # of its body, on the plane of all plans
    standing_height_m: float = STANDING_M  # its trunk above the ground while it stands

    @property
    def is_known(self) -> bool:
        return self.length_px is not None or self.length_m is not None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroundProjection:
    """NaN where too little was seen, or the body's length is not known yet."""

    trunk_length_m: float  # from neck to root of the tail, on the plane of all plans
    trunk_height_m: float  # the trunk, if it is above the hooves
    body_length_px: float  # of the body, if it stood there across the view
    relative_height: (
        float  # height of the trunk in heights of the standing horse, by how long it looks: about 1, or near 0
    )
    leg_spread: float  # of the legs along the ground, in body lengths, if it lies
    nose_at_flank: float  # 1: the nose is beside the trunk; 0: it is not


def project_to_ground(xy: F64, ground: GroundPlane, body_size: BodySize) -> GroundProjection:
    """From (17, 2) px."""
    slopes: list[list[float]] = ground.ray_slopes(xy).tolist()
    below, length_m = (
        ground.camera_height_m - STANDING_M,
        math.nan if body_size.length_m is None else body_size.length_m,
    )
    neck, tail, nose = ([below * one for one in slopes[point]] for point in (NECK, TAIL, NOSE))
    trunk_m, middle = math.dist(neck, tail), [(a + b) / 2 / below for a, b in zip(neck, tail, strict=True)]
    hooves = [[(ground.camera_height_m - HOOF_M) * one for one in slopes[hoof]] for hoof in HOOVES]
    roots = [slopes[root] for root in ROOTS]
    filled = [
        slopes[beside] if math.isnan(root[0]) else root for root, beside in zip(roots, OPPOSITE_ROOTS, strict=True)
    ]
    lain = [[(ground.camera_height_m - LAIN_M) * one for one in root] for root in filled]
    foot = [mean(hoof[axis] for hoof in hooves) for axis in (0, 1)]
    return GroundProjection(
        trunk_length_m=trunk_m,
        trunk_height_m=ground.camera_height_m - _depth_above(middle, foot),
        body_length_px=length_m * ground.px_per_m(middle, STANDING_M),
        relative_height=_relative_height(body_size, ground.camera_height_m, trunk_m / length_m),
        leg_spread=_leg_spread(hooves, lain) / length_m,
        nose_at_flank=_nose_at_flank(neck, tail, nose, length_m),
    )


def _leg_spread(hooves: Sequence[XY], roots: Sequence[XY]) -> float:
    """Of the legs: the lower one of two in the middle, since a hoof may be mistaken but hardly all of them folded."""
    seen = sorted(far for hoof, root in zip(hooves, roots, strict=True) if not math.isnan(far := math.dist(hoof, root)))
    return seen[(len(seen) - 1) // 2] if len(seen) >= LEAST_LEGS else math.nan


def _depth_above(slope: XY, place: XY) -> float:
    """How far below the camera a ray is when it is straight above a place, or nearest to that."""
    return (slope[0] * place[0] + slope[1] * place[1]) / (slope[0] ** 2 + slope[1] ** 2)


def _relative_height(body_size: BodySize, camera_m: float, looks: float) -> float:
    """What is twice as far below the camera looks half as long: so high does a body lie that `looks` so long."""
    return (camera_m - (camera_m - body_size.standing_height_m) / max(looks, 0.1)) / body_size.standing_height_m


def _nose_at_flank(neck: XY, tail: XY, nose: XY, length_m: float) -> float:
    (x, y), (to_x, to_y) = ((to[0] - neck[0], to[1] - neck[1]) for to in (tail, nose))
    trunk_m = max(math.hypot(x, y), 1e-6)
    along, aside = (x * to_x + y * to_y) / trunk_m**2, abs(x * to_y - y * to_x) / trunk_m / length_m
    if math.isnan(along) or math.isnan(aside):
        return math.nan
    return float(FLANK[0] < along < FLANK[1] and BESIDE_IT[0] < aside < BESIDE_IT[1])
