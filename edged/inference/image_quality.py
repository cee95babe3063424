"""Is this image fit to be believed? Measures of a grey image, and the limits it breaks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edged.frame import U8, ImageQuality, QualityLimits

GREY_LEVELS = np.arange(256, dtype=np.float64)  # grey
LOW_QUANTILE, HIGH_QUANTILE = 0.05, 0.95  # share of pixels below the grey levels whose distance is the contrast


def image_quality(grey: U8) -> tuple[float, float, float]:
    """Brightness, contrast and sharpness of an (H, W) image: the definition.

    Brightness is the mean grey level; contrast the distance from the 5 % to the 95 % level; sharpness the
    variance of the Laplacian (4-neighbour, mirrored border) over the variance of the image, 0 where it has none.
    Source of the sharpness measure: Pech-Pacheco et al., ICPR 2000, made independent of contrast.
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
    """The same three from sums alone: pixels (256,) of each grey level, the Laplacian, and its square."""
    size = int(histogram.sum())
    low, high = np.searchsorted(np.cumsum(histogram) / size, (LOW_QUANTILE, HIGH_QUANTILE))
    mean = float(histogram @ GREY_LEVELS) / size
    spread = float(histogram @ GREY_LEVELS**2) / size - mean**2
    edges = squares / size - (laplacian / size) ** 2
    return mean, float(high - low), edges / spread if spread > 0 else 0.0


def check_limits(brightness: float, contrast: float, sharpness: float, limits: QualityLimits) -> ImageQuality:
    """The measures with the names of the limits they break. A featureless image is `flat`, not also `blurred`."""
    flat = contrast < limits.min_contrast
    broken = {
        "dark": brightness < limits.min_brightness,
        "bright": brightness > limits.max_brightness,
        "flat": flat,
        "blurred": sharpness < limits.min_sharpness and not flat,
    }
    degraded = tuple(name for name, is_broken in broken.items() if is_broken)
    return ImageQuality(brightness=brightness, contrast=contrast, sharpness=sharpness, degraded=degraded)
