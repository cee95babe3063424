"""Fitting an image into a detector's input: the geometry, and the numpy definition of the pixels.

letterbox.cu and cpu/backend.py do the pixel work faster, within the tolerances given here. Any thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from edged.frame import F32, I64, U8


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where an image lies in the net's input: scaled, then shifted by the paddings."""

    scale: float  # net pixels per image pixel
    pad_x: int  # net pixels left of the image
    pad_y: int  # net pixels above it
    resized_wh: tuple[int, int]  # size of the image there, net pixels

    @staticmethod
    def fit(image_wh: tuple[int, int], net_wh: tuple[int, int], placement: str) -> Letterbox:
        """The largest aspect-true fit.

        `top-left` (the default) cuts the resized size to whole pixels, as YOLOX and RTMDet deployments do;
        `centred` rounds it and splits the padding, as the YOLOv8 family does.
        """
        (w, h), (net_w, net_h) = image_wh, net_wh
        scale = min(net_w / w, net_h / h)
        if placement != "centred":
            return Letterbox(scale, 0, 0, (max(1, int(w * scale)), max(1, int(h * scale))))
        rw, rh = max(1, round(w * scale)), max(1, round(h * scale))
        return Letterbox(scale, round((net_w - rw) / 2 - 0.1), round((net_h - rh) / 2 - 0.1), (rw, rh))

    def to_image(self, xyxy_net: F32) -> F32:
        """Boxes (N, 4) float32 x0 y0 x1 y1 in image pixels, of the same in net pixels."""
        shift = np.array([self.pad_x, self.pad_y, self.pad_x, self.pad_y], np.float32)
        boxes: F32 = (xyxy_net - shift) / np.float32(self.scale)
        return boxes


def resize(image: U8, size_wh: tuple[int, int]) -> U8:
    """The (h, w, C) uint8 image at `size_wh`, of one (H, W, C) uint8. A backend may differ by one grey level.

    Bilinear, pixel centres at .5, clamped edges, integer arithmetic, a half rounded up.
    """
    (y0, y1, fy), (x0, x1, fx) = (_taps(n, size) for n, size in zip(size_wh[::-1], image.shape[:2], strict=True))
    fy, fx, (across, down) = fy[:, None, None], fx[None, :, None], (2 * size_wh[0], 2 * size_wh[1])
    wide = image.astype(np.int64)
    top = wide[y0][:, x0] * (across - fx) + wide[y0][:, x1] * fx
    bottom = wide[y1][:, x0] * (across - fx) + wide[y1][:, x1] * fx
    whole = across * down
    out: U8 = ((top * (down - fy) + bottom * fy + whole // 2) // whole).astype(np.uint8)
    return out


def _taps(length: int, size: int) -> tuple[I64, I64, I64]:
    """(length,) int64 each: the first and second input pixel that an output pixel lies between, and the weight of the
    second in 1 / (2 · length).
    """
    whole = 2 * length
    at = np.clip((2 * np.arange(length) + 1) * size - length, 0, (size - 1) * whole)
    low = at // whole
    return low, np.minimum(low + 1, size - 1), at - low * whole


def letterbox(image: U8, fit: Letterbox, net_wh: tuple[int, int], pad: int) -> U8:
    """The net's input (H, W, 3) uint8 before normalisation: the resized image on a canvas of grey level `pad`."""
    canvas = np.full((net_wh[1], net_wh[0], 3), pad, np.uint8)
    w, h = fit.resized_wh
    canvas[fit.pad_y : fit.pad_y + h, fit.pad_x : fit.pad_x + w] = resize(image, fit.resized_wh)
    return canvas


def normalise(bgr: U8, colour: Literal["bgr", "rgb"], mean: F32, std: F32) -> F32:
    """The (3, H, W) float32 tensor (pixel - mean) / std in the net's colour order, of (H, W, 3) uint8 BGR.

    mean, std  (3,) float32 grey levels, in the net's colour order
    """
    pixels = bgr if colour == "bgr" else bgr[..., ::-1]
    tensor: F32 = ((pixels.astype(np.float32) - mean) / std).transpose(2, 0, 1)
    return tensor
