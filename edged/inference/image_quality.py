"""Brightness, contrast and sharpness of an image, and the limits it breaks. Pure numpy: the definition.

image_quality.cu and cpu/pixels.py compute the same faster. Any thread.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edged.frame import U8, ImageQuality, QualityLimits

GREY_LEVELS = np.arange(256, dtype=np.float64)
LOW_QUANTILE, HIGH_QUANTILE = 0.05, 0.95  # of the grey levels; the contrast is their distance


def image_quality(grey: U8) -> tuple[float, float, float]:
    """Brightness, contrast and sharpness of a grey image (H, W) uint8.

    brightness  mean grey level, 0..255
    contrast    distance from the 5 % to the 95 % quantile, grey levels
    sharpness   variance of the Laplacian (4-neighbour, mirrored border) over the variance of the image; 0 where the
                image has no variance
    Source of the sharpness: Pech-Pacheco et al., ICPR 2000, made independent of contrast.
    """
    levels = np.searchsorted(
        np.cumsum(np.bincount(grey.ravel(), minlength=256)) / grey.size, (LOW_QUANTILE, HIGH_QUANTILE)
    )
    wide = np.pad(grey.astype(np.float64), 1, mode="reflect" if min(grey.shape) > 1 else "edge")
    laplacian = wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:] - 4 * wide[1:-1, 1:-1]
    spread = float(grey.var())
    return (
        float(grey.mean()),
        float(levels[1] - levels[0]),
        float(laplacian.var() / spread) if spread else 0.0,
    )


def from_sums(histogram: NDArray[Any], laplacian: int, squares: int) -> tuple[float, float, float]:
    """As `image_quality`, from sums over the image.

    histogram  (256,) pixels of each grey level
    laplacian  sum of the Laplacian; `squares` of its square
    """
    size = int(histogram.sum())
    low, high = np.searchsorted(np.cumsum(histogram) / size, (LOW_QUANTILE, HIGH_QUANTILE))
    mean = float(histogram @ GREY_LEVELS) / size
    spread = float(histogram @ GREY_LEVELS**2) / size - mean**2
    edges = squares / size - (laplacian / size) ** 2
    return mean, float(high - low), edges / spread if spread > 0 else 0.0


def check_limits(brightness: float, contrast: float, sharpness: float, limits: QualityLimits) -> ImageQuality:
    """The measures with the names of the limits they break. A featureless image is `flat`, not `blurred` as well."""
    flat = contrast < limits.min_contrast
    broken = {
        "dark": brightness < limits.min_brightness,
        "bright": brightness > limits.max_brightness,
        "flat": flat,
        "blurred": sharpness < limits.min_sharpness and not flat,
    }
    degraded = tuple(name for name, is_broken in broken.items() if is_broken)
    return ImageQuality(brightness=brightness, contrast=contrast, sharpness=sharpness, degraded=degraded)
