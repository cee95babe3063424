"""What happens to a picture: the nine conditions of published evaluations, and what barns add.

Lengths go with the width of the picture; what is random is drawn from the frame's number, so runs are alike.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from edged.frame import F32, U8

Rng = np.random.Generator
Condition = Callable[[U8, Rng], U8]


def clean(image: U8, rng: Rng) -> U8:
    return image


def light(gain: float, noise: float = 0.0) -> Condition:
    """Exposure times `gain`, and the noise of the sensor in grey levels."""
    return lambda image, rng: _shown(image.astype(np.float32) * gain + _normal(rng, image.shape, noise))


def noisy(sigma: float) -> Condition:
    return lambda image, rng: _shown(image + _normal(rng, image.shape, sigma))


def moved(length: float) -> Condition:
    """Motion blur up to `length` of the picture's width, of a shaking camera: every frame another way and far."""

    def blur(image: U8, rng: Rng) -> U8:
        return streaked(image, length * rng.uniform(0.4, 1.0), rng.uniform(-30, 30))

    return blur


def streaked(image: U8, length: float, angle_deg: float) -> U8:
    """Moved by `length` of the picture's width while it was exposed."""
    reach = max(3, round(length * image.shape[1]))
    centre = (reach - 1) / 2
    line = np.zeros((reach, reach), np.float32)
    line[reach // 2] = 1
    kernel = cv2.warpAffine(line, cv2.getRotationMatrix2D((centre, centre), angle_deg, 1.0), (reach, reach))
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)


def defocused(length: float) -> Condition:
    """Out of focus: a Gaussian whose spread is so much of the picture's width."""
    return lambda image, rng: np.asarray(cv2.GaussianBlur(image, (0, 0), length * image.shape[1]), np.uint8)


def barred(image: U8, rng: Rng) -> U8:
    """Behind posts: three, each 6 % of the width."""
    out: U8 = image.copy()
    width = image.shape[1]
    for at in (0.25, 0.5, 0.75):
        out[:, round((at - 0.03) * width) : round((at + 0.03) * width)] = (52, 66, 82)
    return out


def infrared(image: U8, rng: Rng) -> U8:
    """Grey, bright in the middle where the lamp points, grainy."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    lit = grey * (1.25 - 0.9 * _from_centre(image) ** 2) + _normal(rng, grey.shape, 6)
    return np.asarray(cv2.cvtColor(_shown(lit), cv2.COLOR_GRAY2BGR), np.uint8)


def haloed(image: U8, rng: Rng) -> U8:
    """Dust and insects before the lamp: a dozen bright discs, out of focus."""
    height, width = image.shape[:2]
    veil = np.zeros(image.shape[:2], np.float32)
    for _ in range(12):
        at = int(rng.integers(width)), int(rng.integers(height))
        cv2.circle(veil, at, round(width * rng.uniform(0.01, 0.06)), float(rng.uniform(80, 230)), cv2.FILLED)
    veil = np.asarray(cv2.GaussianBlur(veil, (0, 0), width * 0.008), np.float32)
    return _shown(image + veil[..., None])


def rained_on(image: U8, rng: Rng) -> U8:
    """Drops on the lens: they stay where they are, and what is behind them is a blur."""
    height, width = image.shape[:2]
    still = np.random.default_rng(4)
    drops = np.zeros(image.shape[:2], np.float32)
    for _ in range(40):
        at = int(still.integers(width)), int(still.integers(height))
        cv2.circle(drops, at, round(width * still.uniform(0.01, 0.04)), 1.0, cv2.FILLED)
    drops = np.asarray(cv2.GaussianBlur(drops, (0, 0), width * 0.003), np.float32)[..., None]
    behind = cv2.GaussianBlur(image, (0, 0), width * 0.02).astype(np.float32) * 1.1
    return _shown(image * (1 - drops) + behind * drops)


def squeezed(image: U8, rng: Rng) -> U8:
    """JPEG of quality 20."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 20])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def halved(image: U8, rng: Rng) -> U8:
    """Half the resolution, shown at the old size so that the truth stays where it is."""
    size_wh = image.shape[1], image.shape[0]
    small = cv2.resize(image, (size_wh[0] // 2, size_wh[1] // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, size_wh, interpolation=cv2.INTER_LINEAR), np.uint8)


def _normal(rng: Rng, shape: tuple[int, ...], sigma: float) -> F32:
    return np.asarray(rng.standard_normal(shape, np.float32) * sigma, np.float32)


def _from_centre(image: U8) -> F32:
    """(H, W) distance from the centre, 1 in the corners."""
    height, width = image.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return np.asarray(np.hypot(x, y) / np.sqrt(2), np.float32)


def _shown(image: F32) -> U8:
    return np.asarray(np.clip(image, 0, 255), np.uint8)


CONDITIONS: dict[str, Condition] = {
    "clean": clean,
    "low light, moderate": light(0.4, 4),
    "low light, severe": light(0.12, 6),
    "overexposure": light(2.2),
    "occlusion": barred,
    "noise, moderate": noisy(25),
    "noise, heavy": noisy(60),
    "motion blur, light": moved(0.015),
    "motion blur, heavy": moved(0.05),
    "infrared": infrared,
    "dust, insects": haloed,
    "rain on lens": rained_on,
    "JPEG 20": squeezed,
    "half resolution": halved,
}
