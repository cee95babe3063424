"""Images of 16 bits and more, as thermal cameras record them, at 8 bits. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edged.errors import CameraLost
from edged.frame import U8

FEW_LEVELS = 1 << 14  # a 16-bit image that uses fewer of its levels is stretched to 8 bit, not cut to its high byte
STRAY_SHARE = 1e-4  # of the pixels at either end of the levels: a dead one does not set the range
SAMPLES = 1 << 18  # pixels of an image from which its levels are read


def to_8_bit(image: NDArray[Any]) -> U8:
    """(H, W, 3) uint8: the high byte of 16 bits where it says enough, else the values stretched. Raises CameraLost."""
    image = np.dstack([image] * 3) if image.ndim == 2 else image[:, :, :3]
    if image.dtype == np.uint8:
        return np.asarray(image, np.uint8)
    values = np.asarray(image, np.float32)
    low, high = _levels(values)
    if low > high:
        raise CameraLost(f"{image.dtype} image without one finite value", "depth")
    if image.dtype == np.uint16 and high - low >= FEW_LEVELS:
        return np.asarray(np.asarray(image, np.uint16) >> 8, np.uint8)
    if image.dtype.kind == "f" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    scaled = (np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) * (255 / max(high - low, 1e-9))
    return np.asarray(np.round(scaled.clip(0, 255)), np.uint8)


def _levels(values: NDArray[np.float32]) -> tuple[float, float]:
    """The lowest and highest finite value, but for a few stray pixels; the lowest is above the highest without any."""
    step = max(1, round((values.size / values.shape[2] / SAMPLES) ** 0.5))
    sample = values[::step, ::step]
    finite = sample[np.isfinite(sample)]
    if not finite.size:
        return 1.0, 0.0
    low, high = np.quantile(finite, (STRAY_SHARE, 1 - STRAY_SHARE), method="inverted_cdf")
    return float(low), float(high)
