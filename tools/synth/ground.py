"""Pictures of the ground, drawn stroke by stroke: straw, grass, sand. They tile."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

from tools.synth.types import F32, U8, f32

SIDE_PX, SIDE_M, LEVELS = 512, 2.4, 5


@lru_cache(maxsize=32)
def picture(kind: str, seed: int) -> F32:
    """(L, P, P, 3) linear, each colour around 1, each level twice as coarse as the one before."""
    rng = np.random.default_rng([11, seed])
    flat = {"straw": _straw, "grass": _grass, "sand": _sand, "concrete": _concrete}[kind](rng)
    light = (flat.astype(np.float32) / 255) ** 2.2
    light /= light.mean(axis=(0, 1))
    return np.ascontiguousarray([light, *(_blurred(f32(light), 0.6 * 2**n) for n in range(1, LEVELS))], np.float32)


def _blurred(image: F32, sigma: float) -> F32:
    """Blurred across the seams, as a tile must be."""
    pad = min(int(4 * sigma) + 1, SIDE_PX)
    wide = cv2.copyMakeBorder(image, pad, pad, pad, pad, cv2.BORDER_WRAP)
    return np.asarray(cv2.GaussianBlur(wide, (0, 0), sigma)[pad:-pad, pad:-pad], np.float32)


def _strokes(
    base: U8, rng: np.random.Generator, count: int, length_px: tuple[float, float], tones: U8, width: int
) -> U8:
    """Straight strokes of random direction over a tile, wrapping at its edges; the last drawn lie on top."""
    at = rng.uniform(0, SIDE_PX, (count, 2))
    angle, length = rng.uniform(0, np.pi, count), rng.uniform(*length_px, count)
    end = at + np.stack([np.cos(angle), np.sin(angle)], axis=1) * length[:, None]
    shade = rng.uniform(0.55, 1.15, count) * np.linspace(0.55, 1.1, count)
    colour = np.clip(tones[rng.integers(0, len(tones), count)] * shade[:, None], 0, 255)
    wraps = [(dx, dy) for dx in (-SIDE_PX, 0, SIDE_PX) for dy in (-SIDE_PX, 0, SIDE_PX)]
    for a, b, c in zip(at, end, colour, strict=True):
        for wrap in wraps:
            p, q = a + wrap, b + wrap
            if (np.maximum(p, q) >= 0).all() and (np.minimum(p, q) < SIDE_PX).all():
                cv2.line(base, _fixed(p), _fixed(q), c.tolist(), width, cv2.LINE_AA, 4)
    return base


def _fixed(point: F32) -> tuple[int, int]:
    return int(point[0] * 16), int(point[1] * 16)


def _speckle(rng: np.random.Generator, tone: Sequence[float], sigma: Sequence[float], depth: float) -> U8:
    """Noise of several sizes on a tone."""
    total = np.zeros((SIDE_PX, SIDE_PX), np.float32)
    for s in sigma:
        layer = _blurred(rng.standard_normal((SIDE_PX, SIDE_PX), np.float32), s)
        total += layer / layer.std()
    return np.clip(np.array(tone) * (1 + depth * total[..., None] / len(sigma)), 0, 255).astype(np.uint8)


def _straw(rng: np.random.Generator) -> U8:
    tones = np.array([[222, 190, 118], [236, 208, 142], [198, 164, 92], [170, 136, 74], [240, 222, 168]], np.uint8)
    base = _speckle(rng, (128, 100, 56), (3, 12), 0.25)
    return _strokes(base, rng, 3600, (16, 62), tones, 2)


def _grass(rng: np.random.Generator) -> U8:
    tones = np.array([[96, 124, 60], [120, 144, 76], [80, 106, 50], [150, 156, 96], [66, 92, 46]], np.uint8)
    return _strokes(_speckle(rng, (88, 108, 58), (4, 20), 0.16), rng, 3600, (6, 20), tones, 2)


def _sand(rng: np.random.Generator) -> U8:
    return _speckle(rng, (176, 160, 134), (0.8, 3, 9, 30), 0.17)


def _concrete(rng: np.random.Generator) -> U8:
    return _speckle(rng, (150, 148, 142), (0.8, 6, 30), 0.08)
