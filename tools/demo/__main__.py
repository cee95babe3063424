"""Writes a short drawn clip of a horse walking through a paddock: something to play where there is no camera.

    python -m tools.demo OUT.mp4

Nothing is recorded and nothing is copied: a body of ellipses, legs of capsules, a few frames of gait.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edged.adapters.video_out import VideoWriter

U8 = NDArray[np.uint8]
Point = NDArray[np.float64]

SIZE_WH = (640, 360)
FPS = 15.0
FRAMES = 120
COAT, DARK, MUZZLE = (38, 66, 110), (18, 30, 48), (30, 46, 78)  # bay, BGR
SMOOTH = 4  # drawn this much larger, then averaged


def scene(rng: np.random.Generator) -> U8:
    """The paddock: sky, a tree line, grass with grain."""
    w, h = SIZE_WH
    rows = np.linspace(0, 1, h)[:, None]
    sky = np.array([215, 200, 180]) * (1 - 0.25 * rows)
    grass = np.array([60, 120, 95]) * (0.75 + 0.4 * rows)
    image = np.where(rows < 0.42, sky, grass)[:, None, :].repeat(w, axis=1)
    tops = 0.30 * h + 12 * np.sin(np.arange(w) / 23) + 9 * np.sin(np.arange(w) / 7.3)
    ys = np.arange(h)[:, None]
    trees = (ys > tops[None]) & (ys < 0.43 * h)
    image[trees] = [48, 78, 52]
    image += rng.normal(0, 9, image.shape) * (rows[..., None] > 0.3)
    blurred: U8 = cv2.GaussianBlur(np.clip(image, 0, 255).astype(np.uint8), (0, 0), 1.2)
    return blurred


class Horse:
    """A side view, `size` pixels long, drawn on a canvas SMOOTH times larger."""

    def __init__(self, canvas: U8, x: float, y: float, size: float, phase: float) -> None:
        self._canvas, self._size, self._phase = canvas, size, phase
        self._origin = np.array([x, y + 0.008 * size * np.sin(2 * phase)])

    def draw(self) -> None:
        for side, offset in ((0.55, np.pi), (1.0, 0.0)):  # far legs first, darker
            self._leg(-0.30, offset + 0.5, hind=True, shade=side)
            self._leg(0.27, offset, hind=False, shade=side)
        self._limb([(-0.44, -0.10), (-0.52, 0.02), (-0.53, 0.22)], [0.05, 0.07, 0.03], DARK)  # tail
        self._blob((0.0, -0.01), (0.36, 0.145), 0, COAT)  # barrel
        self._blob((-0.27, -0.03), (0.18, 0.17), 12, COAT)  # croup
        self._blob((0.26, 0.0), (0.17, 0.17), -25, COAT)  # shoulder
        nod = 0.02 * np.sin(2 * self._phase)
        self._limb([(0.28, -0.04), (0.42, -0.22), (0.52, -0.36 + nod)], [0.24, 0.17, 0.12], COAT)  # neck
        self._limb([(0.50, -0.38 + nod), (0.62, -0.30 + nod), (0.71, -0.20 + nod)], [0.13, 0.11, 0.08], COAT)  # head
        self._limb([(0.68, -0.23 + nod), (0.72, -0.18 + nod)], [0.08, 0.07], MUZZLE)
        self._limb([(0.49, -0.42 + nod), (0.47, -0.50 + nod)], [0.045, 0.02], COAT)  # ear
        self._limb([(0.47, -0.43 + nod), (0.36, -0.27), (0.25, -0.15)], [0.05, 0.07, 0.05], DARK)  # mane
        self._blob((0.565, -0.36 + nod), (0.013, 0.011), 0, (8, 8, 10))  # eye

    def _leg(self, root: float, offset: float, *, hind: bool, shade: float) -> None:
        swing = 0.11 * np.sin(self._phase + offset)
        lift = 0.05 * max(0.0, np.cos(self._phase + offset))
        knee = (root + 0.5 * swing + (-0.03 if hind else 0.01), 0.30 - 0.4 * lift)
        hoof = (root + swing, 0.56 - lift)
        coat = tuple(shade * c for c in COAT)
        dark = tuple(shade * c for c in DARK)
        self._limb([(root, 0.05), knee], [0.16 if hind else 0.13, 0.065], coat)
        self._limb([knee, hoof], [0.06, 0.04], dark)
        self._limb([hoof, (hoof[0] + 0.03, hoof[1] + 0.015)], [0.055, 0.06], tuple(0.6 * c for c in dark))

    def _blob(
        self, at: tuple[float, float], axes: tuple[float, float], angle: float, colour: tuple[float, ...]
    ) -> None:
        """A shaded ellipse: light from above."""
        for step in np.linspace(0, 1, 6):
            shrink = 1 - 0.75 * step
            centre = self._px((at[0], at[1] - 0.35 * axes[1] * step))
            light = tuple(c * (0.8 + 0.5 * step) for c in colour)
            radii = tuple(int(shrink * r * self._size * SMOOTH) for r in axes)
            cv2.ellipse(self._canvas, centre, radii, angle, 0, 360, light, -1, cv2.LINE_AA)

    def _limb(self, joints: list[tuple[float, float]], widths: list[float], colour: tuple[float, ...]) -> None:
        """A chain of discs that taper from joint to joint."""
        for (a, wa), (b, wb) in zip(
            zip(joints, widths, strict=True), zip(joints[1:], widths[1:], strict=True), strict=False
        ):
            for t in np.linspace(0, 1, 24):
                at = (a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t)
                radius = max(1, int((wa + (wb - wa) * t) / 2 * self._size * SMOOTH))
                cv2.circle(self._canvas, self._px(at), radius, colour, -1, cv2.LINE_AA)

    def _px(self, at: tuple[float, float]) -> tuple[int, int]:
        x, y = (self._origin + np.array(at) * self._size) * SMOOTH
        return int(x), int(y)


def frame(paddock: U8, number: int) -> U8:
    """The paddock with the horse `number` frames into its walk."""
    w, h = SIZE_WH
    canvas: U8 = cv2.resize(paddock, (w * SMOOTH, h * SMOOTH))
    x = 150 + 330 * number / FRAMES
    shadow = (int(x * SMOOTH), int(0.88 * h * SMOOTH))
    cv2.ellipse(canvas, shadow, (95 * SMOOTH, 9 * SMOOTH), 0, 0, 360, (40, 78, 62), -1, cv2.LINE_AA)
    Horse(canvas, x, 0.54 * h, 215, number / FPS * 2 * np.pi * 0.8).draw()
    drawn: U8 = cv2.resize(canvas, SIZE_WH, interpolation=cv2.INTER_AREA)
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.demo", description=__doc__)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    rng = np.random.default_rng(1)
    paddock = scene(rng)
    with VideoWriter(out, FPS, SIZE_WH) as video:
        for number in range(FRAMES):
            noisy = frame(paddock, number) + rng.normal(0, 3, (SIZE_WH[1], SIZE_WH[0], 3))
            video.write(np.clip(noisy, 0, 255).astype(np.uint8))


if __name__ == "__main__":
    main()
