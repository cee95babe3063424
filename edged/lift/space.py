"""Which square of the image a 3D model looks at, and where in the camera's space its answer lies.

Pure geometry, the definition for every plane. Camera frame: x right, y down, z forward, millimetres.
Source: 3DMPPE RootNet, common/utils/pose_utils.py and main/model.py (Moon et al., ICCV 2019).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edged.frame import F32, XY, X, Y

PADDING = 1.25
PERSON_MM = 2000.0  # side of the cube around a person; a constant of the models, and of people only
Z = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Lens:
    """A pinhole camera, in pixels of the image as it is processed."""

    focal_x_px: float
    focal_y_px: float
    centre_x_px: float
    centre_y_px: float
    assumed: bool = False  # nobody measured the focal length

    @staticmethod
    def guessed(size_wh: tuple[int, int], focal_px: float = 1500.0) -> Lens:
        """The published demonstrations' camera: that focal length, the centre in the image's middle."""
        x, y = size_wh[0] / 2, size_wh[1] / 2
        return Lens(focal_x_px=focal_px, focal_y_px=focal_px, centre_x_px=x, centre_y_px=y, assumed=True)


@dataclass(frozen=True, slots=True)
class Square:
    """The processed box: its corner and side, in image pixels. It may reach beyond the image."""

    x: float
    y: float
    side: float

    @staticmethod
    def around(xywh: tuple[float, float, float, float], size_wh: tuple[int, int]) -> Square | None:
        """The box clipped to the image, made square about its centre, grown; None where nothing is left of it."""
        x, y, width, height = xywh
        x0, y0 = max(0.0, x), max(0.0, y)
        x1 = min(size_wh[0] - 1.0, x0 + max(0.0, width - 1))
        y1 = min(size_wh[1] - 1.0, y0 + max(0.0, height - 1))
        if width * height <= 0 or x1 < x0 or y1 < y0:
            return None
        side = max(x1 - x0, y1 - y0) * PADDING
        return Square((x0 + x1 - side) / 2, (y0 + y1 - side) / 2, side) if side > 0 else None

    def depth_mm(self, lens: Lens) -> float:
        """RootNet's k: how far away a cube of `PERSON_MM` fills the square."""
        return PERSON_MM * float(np.sqrt(lens.focal_x_px * lens.focal_y_px)) / self.side

    def joints(self, bins: F32, shape_dhw: tuple[int, int, int]) -> F32:
        """(..., 3) image x, image y, depth in mm relative to the root, of places in a volume's bins."""
        depth, height, width = shape_dhw
        out = np.empty_like(bins, np.float32)
        out[..., X] = bins[..., X] / width * self.side + self.x
        out[..., Y] = bins[..., Y] / height * self.side + self.y
        out[..., Z] = (bins[..., Z] / depth * 2 - 1) * (PERSON_MM / 2)
        return out


def to_camera(points: F32, lens: Lens) -> F32:
    """(..., 3) millimetres in the camera's frame, of image x, image y and absolute depth in mm."""
    focal = np.array([lens.focal_x_px, lens.focal_y_px], np.float32)
    centre = np.array([lens.centre_x_px, lens.centre_y_px], np.float32)
    out = np.array(points, np.float32)
    out[..., XY] = (points[..., XY] - centre) / focal * points[..., Z : Z + 1]
    return out
