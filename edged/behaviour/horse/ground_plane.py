"""A floor of known size: the camera's place from its four corners, and a horse on it as if seen from above.

The corners of a rectangle and the lengths of two of its sides fix the plane's homography; with square pixels and the
principal point in the middle of the image, also the focal length. Lens distortion is not corrected. Pure.
Source: Zhang, A flexible new technique for camera calibration, PAMI 2000, section 3.1, for one view.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edged.behaviour.horse.keypoints import HOOVES, NECK, NOSE, OPPOSITE_ROOTS, ROOTS, TAIL
from edged.behaviour.horse.nan_stats import nan_mean
from edged.behaviour.horse.polygons import sides
from edged.behaviour.horse.thresholds import Ground as T
from edged.config.tables.stall import StallConfig
from edged.errors import ConfigError
from edged.frame import F64

Pixel = tuple[float, float]
XY = Sequence[float]


class GroundPlane:
    """World: metres, the floor's first corner at the origin, x along its side 0, y along its side 3, z up."""

    def __init__(self, corners: Sequence[Pixel], size_m: tuple[float, float], image_wh: tuple[int, int]) -> None:
        """`size_m`: lengths of side 0 and side 1. Raises ConfigError when no camera sees such a rectangle there."""
        centre = np.array(image_wh) / 2
        width, depth = size_m
        floor = np.array([(0, 0), (width, 0), (width, depth), (0, depth)], float)
        pixels = np.array(corners, float) - centre
        if len(pixels) != len(floor):
            raise ConfigError(f"a floor of known size has 4 corners, not {len(pixels)}", "floor-corners")
        homography = _homography(floor, pixels)
        self.focal_px = _focal_length_px(homography)
        pose = homography / [[self.focal_px], [self.focal_px], [1.0]]
        pose /= math.copysign(math.sqrt(np.linalg.norm(pose[:, 0]) * np.linalg.norm(pose[:, 1])), pose[2, 2])
        up = np.cross(pose[:, 0], pose[:, 1])
        to_camera = np.stack([pose[:, 0], pose[:, 1], up], axis=1)
        to_world = np.linalg.inv(to_camera)
        self.camera_position_m: F64 = -to_world @ pose[:, 2]  # (3,) x, y, z
        if self.camera_position_m[2] < 0:  # corners given the other way round: up is the other side
            to_world[2] *= -1
            self.camera_position_m[2] *= -1
        if to_world[2, 1] > T.max_tilt:  # image y grows downwards
            raise ConfigError("the camera is upside down; check the corners, or its `rotate`", "camera-upside-down")
        self._depth_row = np.linalg.inv(to_world)[2].tolist()
        self._downwards = -np.linalg.inv(to_world)[:, 2]  # (3,) in the camera's axes
        self._centre_px = centre
        self._ray_per_px = to_world[:, :2].T / self.focal_px
        self._ray_at_origin = to_world[:, 2] - centre @ self._ray_per_px  # of pixel (0, 0)
        self.camera_height_m = float(self.camera_position_m[2])
        if self.camera_height_m < T.min_camera_height_m:
            raise ConfigError(
                f"the camera would hang {self.camera_height_m:.1f} m above it; "
                f"it can be used from {T.min_camera_height_m:g} m on",
                "camera-too-low",
            )

    def ray_slopes(self, xy: F64) -> F64:
        """(N, 2) m: how far the ray of each pixel (N, 2) goes sideways while it goes down one metre.

        At a height h it passes `camera + (camera_height_m - h) * slope`. NaN: the ray never comes down.
        """
        rays = xy @ self._ray_per_px + self._ray_at_origin
        rays[rays[:, 2] >= 0] = np.nan
        return np.asarray(rays[:, :2] / -rays[:, 2:])

    def downwards_px(self, xy: F64) -> F64:
        """(2,): the direction in the image in which something hangs straight down from a pixel (2,); of no length."""
        across, ahead = self._downwards[:2], self._downwards[2]
        return np.asarray(self.focal_px * across - (xy - self._centre_px) * ahead)

    def px_per_m(self, slope: XY, height_m: float) -> float:
        """The scale of an object across the camera's view, where a ray of this slope passes `height_m`."""
        below = self.camera_height_m - height_m
        x, y, z = self._depth_row
        return self.focal_px / float(below * (x * slope[0] + y * slope[1] - z))


def _homography(plane: F64, pixels: F64) -> F64:
    """(3, 3) that maps four places (4, 2) to four pixels (4, 2)."""
    rows = []
    for (x, y), (u, v) in zip(plane, pixels, strict=True):
        rows += [(x, y, 1, 0, 0, 0, -u * x, -u * y, -u), (0, 0, 0, x, y, 1, -v * x, -v * y, -v)]
    found = np.linalg.svd(np.array(rows))[2][-1].reshape(3, 3)
    return np.asarray(found / found[2, 2])


def _focal_length_px(homography: F64) -> float:
    """The floor's sides are at right angles and of the given lengths: two equations, one unknown, least squares."""
    a, b = (column / np.linalg.norm(homography[:2, :2]) for column in homography.T[:2])
    sideways = np.array([a[:2] @ b[:2], a[:2] @ a[:2] - b[:2] @ b[:2]])
    ahead = np.array([a[2] * b[2], a[2] ** 2 - b[2] ** 2])
    square = -float(sideways @ sideways) / float(sideways @ ahead) if float(sideways @ ahead) else math.inf
    if not 0 < square < math.inf:
        text = "no camera sees a rectangle of that size there; check the corners and their order"
        raise ConfigError(text, "floor-impossible")
    return math.sqrt(square)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BodySize:
    """What is known of the size of the horse in a stall. None: not known yet."""

    length_px: float | None = None
    ground: GroundPlane | None = None
    length_m: float | None = None  # on the reference plane, `standing_trunk_m` above the floor
    standing_height_m: float = T.standing_trunk_m  # trunk above the floor

    @property
    def is_known(self) -> bool:
        return self.length_px is not None or self.length_m is not None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroundProjection:
    """A horse on a floor of known size. NaN: too little was visible, or the body's length is not known yet."""

    trunk_length_m: float  # neck to root of the tail, on the reference plane
    trunk_height_m: float  # if the trunk is above the hooves
    height_per_length: float  # the trunk's, if it is above the hooves: known before the body's length is
    body_length_px: float  # of the body across the view, if it stands there
    relative_height: float  # trunk height over its standing height, from its apparent length: 1 standing, near 0 lying
    leg_spread: float  # of the legs along the ground, in body lengths, if it lies
    nose_at_flank: float  # 1: the nose is beside the trunk; 0: it is not


def project_to_ground(xy: F64, ground: GroundPlane, body_size: BodySize) -> GroundProjection:
    """The horse of keypoints (17, 2) in px, NaN: not visible, as if seen from above.

    A trunk on the ground looks shorter than one at standing height, whichever way it lies; the distance of the hooves
    from it along the ground tells folded legs from stretched ones.
    """
    slopes: list[list[float]] = ground.ray_slopes(xy).tolist()
    height_m, length_m = ground.camera_height_m, math.nan if body_size.length_m is None else body_size.length_m
    below = height_m - T.standing_trunk_m
    neck, tail, nose = ([below * one for one in slopes[point]] for point in (NECK, TAIL, NOSE))
    trunk_m, centre = math.dist(neck, tail), [(a + b) / 2 / below for a, b in zip(neck, tail, strict=True)]
    hooves = [[(height_m - T.hoof_m) * one for one in slopes[hoof]] for hoof in HOOVES]
    roots = [slopes[root] for root in ROOTS]
    others = [slopes[root] for root in OPPOSITE_ROOTS]
    known = [other if math.isnan(root[0]) else root for root, other in zip(roots, others, strict=True)]
    lying_roots = [[(height_m - T.lying_root_m) * one for one in root] for root in known]
    foot = [nan_mean(hoof[axis] for hoof in hooves) for axis in (0, 1)]
    depth_m = _depth_above(centre, foot)
    return GroundProjection(
        trunk_length_m=trunk_m,
        trunk_height_m=height_m - depth_m,
        height_per_length=(height_m - depth_m) / max(trunk_m * depth_m / below, T.min_trunk_m),
        body_length_px=length_m * ground.px_per_m(centre, T.standing_trunk_m),
        relative_height=_relative_height(body_size, height_m, trunk_m / length_m),
        leg_spread=_leg_spread(hooves, lying_roots) / length_m,
        nose_at_flank=_nose_at_flank(neck, tail, nose, length_m),
    )


def _leg_spread(hooves: Sequence[XY], roots: Sequence[XY]) -> float:
    """The lower median: a single hoof may be mistaken, but hardly all of them folded."""
    spreads = [math.dist(hoof, root) for hoof, root in zip(hooves, roots, strict=True)]
    known = sorted(spread for spread in spreads if not math.isnan(spread))
    return known[(len(known) - 1) // 2] if len(known) >= T.min_legs else math.nan


def _depth_above(slope: XY, place: XY) -> float:
    """How far below the camera a ray is where it passes above a place, or nearest to that."""
    return (slope[0] * place[0] + slope[1] * place[1]) / (slope[0] ** 2 + slope[1] ** 2)


def _relative_height(body_size: BodySize, camera_m: float, apparent_length: float) -> float:
    """The height at which a body of known length appears this long: at twice the distance it appears half as long."""
    standing_m = body_size.standing_height_m
    return (camera_m - (camera_m - standing_m) / max(apparent_length, T.min_apparent_length)) / standing_m


def _nose_at_flank(neck: XY, tail: XY, nose: XY, length_m: float) -> float:
    (x, y), (to_x, to_y) = ((to[0] - neck[0], to[1] - neck[1]) for to in (tail, nose))
    trunk_m = max(math.hypot(x, y), 1e-6)
    along, aside = (x * to_x + y * to_y) / trunk_m**2, abs(x * to_y - y * to_x) / trunk_m / length_m
    if math.isnan(along) or math.isnan(aside):
        return math.nan
    return float(T.flank_along[0] < along < T.flank_along[1] and T.flank_aside[0] < aside < T.flank_aside[1])


def ground_plane(stall: StallConfig, size_wh: tuple[int, int]) -> GroundPlane | None:
    """The floor as a plane of known size; None: its size is not given. Raises ConfigError when it does not fit."""
    if stall.floor is None or stall.floor_m is None:
        return None
    return GroundPlane(stall.floor, stall.floor_m, size_wh)


def floor_size_errors(stall: StallConfig, size_wh: tuple[int, int]) -> list[str]:
    """Why the floor cannot be of the size that is given."""
    try:
        ground_plane(stall, size_wh)
    except ConfigError as exc:
        return [str(exc)]
    return []


def floor_measures(
    floor: Sequence[Pixel] | None, floor_m: tuple[float, float] | None, size_wh: tuple[int, int]
) -> dict[str, Any] | None:
    """Lengths on the ground: people see at once whether the floor is drawn right. None: no floor of known size.

    A side that reaches above the horizon has no length: None.
    """
    if floor is None or floor_m is None:
        return None
    try:
        ground = GroundPlane(floor, floor_m, size_wh)
    except ConfigError:  # among the problems of the drawing
        return None
    lengths = [_length_m(ground, *side) for side in sides(list(floor))]
    return {"camera_height_m": round(ground.camera_height_m, 2), "sides_m": lengths}


def _length_m(ground: GroundPlane, a: Pixel, b: Pixel) -> float | None:
    slopes = ground.camera_height_m * ground.ray_slopes(np.array([a, b], float))
    length = float(math.dist(*slopes.tolist()))
    return None if math.isnan(length) else round(length, 2)
