"""The floor as a plane of known size: from its four corners the camera's place, from that heights and places in metres.

The corners of a rectangle and the lengths of two of its sides fix the plane's homography; with square pixels and the
principal point in the middle of the image, also the focal length. A lens's distortion is not taken out. Pure numpy.
Source: Zhang, A flexible new technique for camera calibration, PAMI 2000, section 3.1, for one view.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edged.frame import F64

Pixel = tuple[float, float]
UPSIDE_DOWN = 0.2
LEAST_M = 2.0  # of the camera above the floor: lower, a trunk's height hardly shows in its length


class GroundPlane:
    """World: metres, the floor's first corner at the origin, x along its side 0, y along its side 3, z up."""

    def __init__(self, corners: Sequence[Pixel], size_m: tuple[float, float], image_wh: tuple[int, int]) -> None:
        """`size_m` are the lengths of side 0 and side 1. Raises ValueError where no camera sees such a rectangle so."""
        middle = np.array(image_wh) / 2
        width, depth = size_m
        floor = np.array([(0, 0), (width, 0), (width, depth), (0, depth)], float)
        pixels = np.array(corners, float) - middle
        if len(pixels) != len(floor):
            raise ValueError(f"a floor of known size has 4 corners, not {len(pixels)}")
        plane = _homography(floor, pixels)
        self.focal_px = _focal_length_px(plane)
        turned = plane / [[self.focal_px], [self.focal_px], [1.0]]
        turned /= math.copysign(math.sqrt(np.linalg.norm(turned[:, 0]) * np.linalg.norm(turned[:, 1])), turned[2, 2])
        up = np.cross(turned[:, 0], turned[:, 1])
        to_camera = np.stack([turned[:, 0], turned[:, 1], up], axis=1)
        to_world = np.linalg.inv(to_camera)
        self.camera_position_m: F64 = -to_world @ turned[:, 2]  # (3,) m
        if self.camera_position_m[2] < 0:  # corners given the other way round: up is the other side
            to_world[2] *= -1
            self.camera_position_m[2] *= -1
        if to_world[2, 1] > UPSIDE_DOWN:  # y grows downwards in the picture
            raise ValueError("the camera would stand on its head; look at the corners, or at the camera's `rotate`")
        self._depth_row = np.linalg.inv(to_world)[2].tolist()
        self._ray_per_px = to_world[:, :2].T / self.focal_px  # of a ray, as `_ray`
        self._ray_at_origin = to_world[:, 2] - middle @ self._ray_per_px  # that of the pixel 0, 0
        self.camera_height_m = float(self.camera_position_m[2])
        if self.camera_height_m < LEAST_M:
            raise ValueError(
                f"the camera would hang {self.camera_height_m:.1f} m above it; from {LEAST_M:g} m on it can be used"
            )

    def ray_slopes(self, xy: F64) -> F64:
        """(N, 2) px to (N, 2) m: how far the ray of a pixel goes sideways while it goes down one metre.

        At a height h it passes `camera + (camera_m - h) * slope`. NaN for a ray that never comes down.
        """
        rays = xy @ self._ray_per_px + self._ray_at_origin
        rays[rays[:, 2] >= 0] = np.nan
        return np.asarray(rays[:, :2] / -rays[:, 2:])

    def px_per_m(self, slope: Sequence[float], height_m: float) -> float:
        """Of what stands across the camera's view, where a ray passes that height."""
        below = self.camera_height_m - height_m
        x, y, z = self._depth_row
        return self.focal_px / float(below * (x * slope[0] + y * slope[1] - z))


def _homography(plane: F64, pixels: F64) -> F64:
    """(3, 3) that takes four places to four pixels."""
    rows = []
    for (x, y), (u, v) in zip(plane, pixels, strict=True):
        rows += [(x, y, 1, 0, 0, 0, -u * x, -u * y, -u), (0, 0, 0, x, y, 1, -v * x, -v * y, -v)]
    found = np.linalg.svd(np.array(rows))[2][-1].reshape(3, 3)
    return np.asarray(found / found[2, 2])


def _focal_length_px(plane: F64) -> float:
    """The floor's sides are at right angles and as long as said: two equations for one unknown, by least squares."""
    a, b = (column / np.linalg.norm(plane[:2, :2]) for column in plane.T[:2])
    sideways = np.array([a[:2] @ b[:2], a[:2] @ a[:2] - b[:2] @ b[:2]])
    ahead = np.array([a[2] * b[2], a[2] ** 2 - b[2] ** 2])
    square = -float(sideways @ sideways) / float(sideways @ ahead) if float(sideways @ ahead) else math.inf
    if not 0 < square < math.inf:
        raise ValueError("no camera sees a rectangle of that size there; look at the corners and their order again")
    return math.sqrt(square)
