"""The camera as a pinhole: where a pixel's ray goes, and how far away something of known size is.

Camera frame: x right, y down, z forward. Downstream: `space`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
UNDISTORT_ROUNDS = 20  # of undistorting; what a lens for people does is exact to 1e-6 after half of them
UNDISTORT_TOLERANCE = 1e-4  # most that the last round may have changed


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraIntrinsics:
    """Focal lengths and principal point in px of the upright image; distortion in OpenCV's order."""

    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...] = ()  # k1 k2 p1 p2 k3 k4 k5 k6, as many as are known
    assumed: bool = False  # nobody measured it

    @staticmethod
    def default(size_wh: tuple[int, int], focal_px: float = 1500.0) -> CameraIntrinsics:
        """The camera of the 3DMPPE family's demonstrations: that focal length, the centre in the image's middle."""
        return CameraIntrinsics(fx=focal_px, fy=focal_px, cx=size_wh[0] / 2, cy=size_wh[1] / 2, assumed=True)

    @property
    def focal_px(self) -> float:
        """The geometric mean of both."""
        return float(np.sqrt(self.fx * self.fy))

    def rays(self, xy_px: NDArray[np.floating]) -> F64:
        """(…, 2) x/z and y/z of the directions that pixels look in; NaN where no ray of a distorting lens ends.

        Distortion is undone by fixed-point iteration. Source: OpenCV, the model of undistortPoints.
        """
        centre, focal = np.array([self.cx, self.cy]), np.array([self.fx, self.fy])
        seen: F64 = (xy_px.astype(np.float64) - centre) / focal
        if not any(self.distortion):
            return seen
        k1, k2, p1, p2, k3, k4, k5, k6 = (*self.distortion, *(0.0,) * (8 - len(self.distortion)))
        ray: F64 = seen.copy()
        before = ray
        for _ in range(UNDISTORT_ROUNDS):
            before = ray
            x, y = ray[..., 0], ray[..., 1]
            r2 = x * x + y * y
            radial = (1 + r2 * (k4 + r2 * (k5 + r2 * k6))) / (1 + r2 * (k1 + r2 * (k2 + r2 * k3)))
            dx = 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
            dy = p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
            ray = np.asarray((seen - np.stack([dx, dy], axis=-1)) * radial[..., None])
        ray[~(np.abs(ray - before).max(axis=-1) < UNDISTORT_TOLERANCE)] = np.nan
        return ray
