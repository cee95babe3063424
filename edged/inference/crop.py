"""The crop of one subject for a top-down pose model: the geometry, and the numpy definition of the pixels.

crop.cu and cpu/pixels.py do the pixel work faster, within the tolerance given here. Any thread.
Source: GetBBoxCenterScale and TopdownAffine of MMPose, in closed form (no rotation, no shear).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edged.frame import F32, U8, X0, X1, Y0, Y1


@dataclass(frozen=True, slots=True)
class Crop:
    """The part of an image that fills the net's input: centre and size in image pixels."""

    cx: float
    cy: float
    width: float
    height: float
    net_wh: tuple[int, int]

    @staticmethod
    def around(box: NDArray[np.floating], net_wh: tuple[int, int], padding: float) -> Crop:
        """The box (4,) grown by the factor `padding`, then to the net's aspect ratio. It may reach beyond the image."""
        width, height = float(box[X1] - box[X0]) * padding, float(box[Y1] - box[Y0]) * padding
        aspect = net_wh[0] / net_wh[1]
        width, height = max(width, height * aspect), max(height, width / aspect)
        cx, cy = float(box[X0] + box[X1]) / 2, float(box[Y0] + box[Y1]) / 2
        return Crop(cx, cy, max(width, 1e-3), max(height, 1e-3), net_wh)

    @property
    def to_net(self) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        """(2, 3) float64 affine matrix from image pixels to net pixels."""
        s = self.net_wh[0] / self.width
        return np.array([[s, 0, self.net_wh[0] / 2 - s * self.cx], [0, s, self.net_wh[1] / 2 - s * self.cy]])

    def to_image(self, xy_net: F32) -> F32:
        """Points (…, 2) float32 x, y in image pixels, of the same in net pixels; NaN stays NaN."""
        scale = np.float32(self.width / self.net_wh[0])
        corner = np.array([self.cx - self.width / 2, self.cy - self.height / 2], np.float32)
        points: F32 = xy_net * scale + corner
        return points

    def cells_to_image(self, xy: F32, cells_wh: tuple[int, int]) -> F32:
        """Points (…, 2) in image pixels, of points in cells of a `cells_wh` grid over the crop, from its corner."""
        (net_w, net_h), (w, h) = self.net_wh, cells_wh
        return self.to_image(xy * np.array([net_w / w, net_h / h], np.float32))


def crop_image(image: U8, crop: Crop) -> U8:
    """The (h, w, 3) uint8 crop of an (H, W, 3) uint8 image. A backend may differ by two grey levels.

    Bilinear; black outside the image.
    """
    (w, h), scale = crop.net_wh, crop.width / crop.net_wh[0]
    xs = (np.arange(w) - w / 2) * scale + crop.cx
    ys = (np.arange(h) - h / 2) * scale + crop.cy
    bordered = np.pad(image, ((1, 1), (1, 1), (0, 0))).astype(np.float64)
    xs, ys = np.clip(xs + 1, 0, image.shape[1] + 1), np.clip(ys + 1, 0, image.shape[0] + 1)
    x0, y0 = np.minimum(xs.astype(int), image.shape[1]), np.minimum(ys.astype(int), image.shape[0])
    fx, fy = (xs - x0)[None, :, None], (ys - y0)[:, None, None]
    top = bordered[y0][:, x0] * (1 - fx) + bordered[y0][:, x0 + 1] * fx
    bottom = bordered[y0 + 1][:, x0] * (1 - fx) + bordered[y0 + 1][:, x0 + 1] * fx
    out: U8 = np.rint(top * (1 - fy) + bottom * fy).astype(np.uint8)
    return out
