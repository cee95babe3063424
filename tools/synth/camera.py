"""Where the camera stands, and what its lens and sensor do to the picture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import cv2
import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from tools.synth.shade import Eye
from tools.synth.types import F32, F64, U8, f32

XYZ: TypeAlias = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A pinhole with a little barrel distortion; positions in m."""

    at: XYZ
    to: XYZ
    fov_deg: float  # across the image's width
    roll_deg: float = 0.0
    barrel: float = 0.0  # radial distortion at the half diagonal, share

    def frame(self) -> F32:
        """(3, 4) world to x right, y down, z away."""
        away = np.subtract(self.to, self.at) / np.linalg.norm(np.subtract(self.to, self.at))
        right = np.cross(away, [0, 0, 1.0])
        right /= np.linalg.norm(right)
        down = np.cross(away, right)
        c, s = np.cos(np.radians(self.roll_deg)), np.sin(np.radians(self.roll_deg))
        turn = np.stack([c * right + s * down, c * down - s * right, away])
        return np.concatenate([turn, -turn @ np.array(self.at)[:, None]], axis=1).astype(np.float32)

    def lens(self, size_wh: tuple[int, int]) -> F32:
        """fx, fy, cx, cy in px; wider than asked by what the distortion will cut off."""
        w, h = size_wh
        f = w / 2 / np.tan(np.radians(self.fov_deg) / 2)
        return np.array([f, f, w / 2, h / 2], np.float32)

    def eye(self, size_wh: tuple[int, int]) -> Eye:
        frame, (fx, fy, cx, cy) = self.frame(), self.lens(size_wh)
        inverse = np.array([[1 / fx, 0, -cx / fx], [0, 1 / fy, -cy / fy], [0, 0, 1]], np.float32)
        return Eye(np.array(self.at, np.float32), np.ascontiguousarray(frame[:, :3].T @ inverse, np.float32))

    def view(self, points: F64) -> F64:
        """(N, 3) world to the camera's frame."""
        seen: F64 = points @ self.frame()[:, :3].T.astype(np.float64) + self.frame()[:, 3]
        return seen

    def pixels(self, points: F64, size_wh: tuple[int, int]) -> F64:
        """(N, 3) x, y of the undistorted picture, and the distance along the view."""
        view = self.view(points)
        fx, fy, cx, cy = self.lens(size_wh)
        z = np.maximum(view[:, 2], 1e-6)
        return np.stack([view[:, 0] / z * fx + cx, view[:, 1] / z * fy + cy, view[:, 2]], axis=1)

    def sources(self, xy: F64, size_wh: tuple[int, int]) -> F64:
        """Where in the undistorted picture the lens takes a pixel of the picture from."""
        middle = np.array(size_wh) / 2
        offset = (xy - middle) / np.linalg.norm(middle)
        moved: F64 = middle + (xy - middle) * (1 + self.barrel * ((offset**2).sum(axis=-1, keepdims=True) - 0.6))
        return moved

    def bent(self, xy: F64, size_wh: tuple[int, int]) -> F64:
        """Where a point of the undistorted picture appears: `sources` backwards, by Newton on the radius."""
        middle, straight = np.array(size_wh) / 2, 1 - 0.6 * self.barrel
        radius = np.clip(np.linalg.norm((xy - middle) / np.linalg.norm(middle), axis=-1, keepdims=True), 1e-9, FARTHEST)
        r = radius / straight
        for _ in range(20):
            r = r - (self.barrel * r**3 + straight * r - radius) / (3 * self.barrel * r**2 + straight)
        moved: F64 = middle + (xy - middle) * r / radius
        return moved


FARTHEST = 50.0  # half diagonals from the middle: beyond, nothing is bent further


class Bend:
    """The lens's distortion of pictures of one size."""

    def __init__(self, camera: Camera, size_wh: tuple[int, int]) -> None:
        w, h = size_wh
        grid = np.stack(np.meshgrid(np.arange(w) + 0.5, np.arange(h) + 0.5), axis=-1)
        at = (camera.sources(grid, size_wh) - 0.5).astype(np.float32)
        self._flat = camera.barrel == 0
        self._maps = cv2.convertMaps(at[..., 0], at[..., 1], cv2.CV_16SC2)

    def __call__(self, image: U8, smooth: bool = True) -> U8:
        if self._flat:
            return image
        how = cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
        return np.asarray(cv2.remap(image, *self._maps, how, borderMode=cv2.BORDER_REPLICATE), np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """What the picture suffers after the lens."""

    infrared: bool = False
    exposure: float = 1.0
    gamma: float = 2.2
    warmth: float = 1.0  # red over blue
    saturation: float = 1.0
    blur_px: float = 0.0
    vignette: float = 0.15
    noise: float = 2.0  # sigma in 8 bit levels, in the middle tones
    grain_px: float = 0.6  # one of a few, for each is drawn once

    def tones(self) -> U8:
        """Light (16384 is 1.0) to 8 bits: a soft shoulder, then gamma."""
        light = np.arange(65536) / 16384 * self.exposure
        curved = light * (1 + light / 6.0) / (1 + light)
        return np.clip(255 * (1.25 * curved) ** (1 / self.gamma), 0, 255).astype(np.uint8)

    def develop(self, image: U8, rng: np.random.Generator) -> U8:
        soft = image if self.blur_px <= 0.15 else cv2.GaussianBlur(image, (0, 0), self.blur_px)
        grain = _grain(self.grain_px)
        start = rng.integers(0, GRAIN_PX, 2)
        mix = _mix(self.infrared, self.saturation, self.warmth)
        return _developed(np.ascontiguousarray(soft), mix, self.vignette, grain, start, self.noise, not self.infrared)


GRAIN_PX = 1021  # side of the grain's tile: a prime, so that it does not beat with the picture


@lru_cache(maxsize=8)
def _grain(size_px: float) -> F32:
    """A tile of noise of unit strength whose grains are about so large."""
    white = np.random.default_rng(23).standard_normal((GRAIN_PX, GRAIN_PX)).astype(np.float32)
    grains = white if size_px < 0.3 else cv2.GaussianBlur(white, (0, 0), size_px, borderType=cv2.BORDER_REFLECT)
    return np.asarray(grains / grains.std(), np.float32)


def _mix(infrared: bool, saturation: float, warmth: float) -> F32:
    """(3, 3) BGR to BGR."""
    if infrared:
        return np.tile(f32([0.25, 0.45, 0.30]), (3, 1))
    third = np.full((3, 3), 1 / 3, np.float32)
    mixed = third + saturation * (np.eye(3, dtype=np.float32) - third)
    return np.asarray(f32([[1 / warmth], [1.0], [warmth]]) * mixed, np.float32)


@njit(parallel=True, fastmath=True, cache=True)
def _developed(
    image: U8, mix: F32, vignette: float, grain: F32, start: NDArray[np.int64], noise: float, colour_noise: bool
) -> U8:
    out, (height, width, _), side = np.empty_like(image), image.shape, len(grain)
    for y in prange(height):
        v = 2.0 * y / height - 1
        for x in range(width):
            u = 2.0 * x / width - 1
            fall = 1 - vignette * (u * u + v * v) / 1.3
            for c in range(3):
                shift = 337 * c if colour_noise else 0
                light = mix[c, 0] * image[y, x, 0] + mix[c, 1] * image[y, x, 1] + mix[c, 2] * image[y, x, 2]
                light = light * fall + noise * grain[(y + start[0] + shift) % side, (x + start[1] + shift) % side]
                out[y, x, c] = min(max(light, 0.0), 255.0)
    return out
