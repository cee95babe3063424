"""What OpenCV does with pixels for the models: colour, image quality, normalisation and crops.

The numpy definitions stand in colour.py, image_quality.py, letterbox.py and crop.py; tests hold these against them.
"""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np

from edged.frame import F32, U8, PixelFormat
from edged.inference.crop import Crop
from edged.inference.image_quality import GREY_LEVELS, from_sums
from engines.card import Input

BGR_CONVERSIONS = {
    "gray": cv2.COLOR_GRAY2BGR,
    "yuyv": cv2.COLOR_YUV2BGR_YUYV,
    "nv12": cv2.COLOR_YUV2BGR_NV12,
}


def to_bgr(image: U8, pixel_format: PixelFormat) -> U8:
    """(H, W, 3) uint8 BGR, as `colour.to_bgr` to the last bit; the image itself when it is BGR."""
    return image if pixel_format == "bgr" else cast(U8, cv2.cvtColor(image, BGR_CONVERSIONS[pixel_format]))


def image_quality(bgr: U8) -> tuple[float, float, float]:
    """Brightness, contrast and sharpness of an (H, W, 3) BGR image, as `image_quality.image_quality` of its grey."""
    grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    histogram = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel()
    laplacian = cv2.Laplacian(grey, cv2.CV_16S)
    return from_sums(histogram, int(cv2.sumElems(laplacian)[0]), int(cv2.norm(laplacian, cv2.NORM_L2SQR)))


class Normaliser:
    """(pixel - mean) / std by table: 256 values per channel, looked up exactly."""

    def __init__(self, spec: Input) -> None:
        tables = [((GREY_LEVELS - m) / s).astype(np.float32) for m, s in zip(spec.mean, spec.std, strict=True)]
        channels = (0, 1, 2) if spec.colour == "bgr" else (2, 1, 0)
        self._channel_tables = list(zip(channels, tables, strict=True))

    def __call__(self, bgr: U8, out: F32) -> None:
        """Writes the (3, H, W) float32 tensor of an (H, W, 3) BGR image into `out`."""
        planes = cv2.split(bgr)
        for tensor, (channel, table) in zip(out, self._channel_tables, strict=True):
            cv2.LUT(planes[channel], table, tensor)


class CropSampler:
    """Cuts subjects out of an image for a top-down model; keeps one buffer, so one thread at a time."""

    def __init__(self, spec: Input) -> None:
        width, height = spec.size_wh
        self._pixels = np.empty((height, width, 3), np.uint8)
        self._normalise = Normaliser(spec)

    def __call__(self, image: U8, crop: Crop, out: F32) -> None:
        """Writes the (3, H, W) float32 tensor of the crop of a BGR image into `out`."""
        cv2.warpAffine(image, crop.to_net, crop.net_wh, dst=self._pixels, flags=cv2.INTER_LINEAR)
        self._normalise(self._pixels, out)
