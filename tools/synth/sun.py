"""What the light sees: the shadow map of the sun, and the sky that bodies take from the floor."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from tools.synth.geometry import Mesh
from tools.synth.raster import FAR, Layer, fill, parallel_light, to_view
from tools.synth.shade import Shadows
from tools.synth.types import F32, F64

MAP_PX, COVER_PX = 1024, 96
LOW_M, HIGH_M = 0.1, 1.3  # a body this low takes the sky from the floor below it; this high no more
DEEPEST = 0.72  # share of the sky that a body on the floor takes


class SunMap:
    """The shadows of a place; what stands still is drawn once."""

    def __init__(self, sun_to: F32, centre: F64, reach_m: float, still: Mesh | None) -> None:
        self._frame, self._lens = _seen_from(sun_to, centre), _lens(MAP_PX, reach_m)
        below = np.array([[1, 0, 0, -centre[0]], [0, 1, 0, -centre[1]], [0, 0, 1, 0]], np.float32)
        self._below, self._wide = below, _lens(COVER_PX, reach_m)
        shift = self._wide[2:] - self._wide[:2] * centre[:2]
        self._cover_lens = np.concatenate([self._wide[:2], shift]).astype(np.float32)
        self._texels_m = COVER_PX / 2 / reach_m
        self._still, self._now = Layer((MAP_PX, MAP_PX), FAR), Layer((MAP_PX, MAP_PX), FAR)
        self._floor = Layer((COVER_PX, COVER_PX), FAR)
        if still is not None:
            _cast(still, self._frame, self._lens, self._still)

    def cast(self, meshes: Sequence[Mesh]) -> Shadows:
        np.copyto(self._now.w, self._still.w)
        self._floor.clear()
        for mesh in meshes:
            _cast(mesh, self._frame, self._lens, self._now)
            _cast(mesh, self._below, self._wide, self._floor)
        return Shadows(self._frame, self._lens, self._now.w, self._cover(), self._cover_lens)

    def _cover(self) -> F32:
        """The sky that the lowest parts above each piece of floor hide: deep and narrow, and wide and faint."""
        lowest = np.where(self._floor.triangle >= 0, -self._floor.w, np.float32(HIGH_M))
        hidden = np.clip((HIGH_M - lowest) / (HIGH_M - LOW_M), 0, 1).astype(np.float32)
        near, wide = (cv2.GaussianBlur(hidden, (0, 0), sigma_m * self._texels_m) for sigma_m in (0.07, 0.25))
        return np.asarray(DEEPEST * np.maximum(near**1.5, 0.75 * wide), np.float32)


def _cast(mesh: Mesh, frame: F32, lens: F32, layer: Layer) -> None:
    screen, source = parallel_light(to_view(mesh.vertices, frame), mesh.triangles, lens)
    fill(screen, source, layer.w, layer.triangle)


def _lens(size_px: int, reach_m: float) -> F32:
    return np.array([size_px / 2 / reach_m] * 2 + [size_px / 2] * 2, np.float32)


def _seen_from(sun_to: F32, centre: F64) -> F32:
    """(3, 4) world to the light's view, the centre in its middle."""
    away = -sun_to / np.linalg.norm(sun_to)
    right = np.cross(away, [0.13, 0.99, 0.05])
    right /= np.linalg.norm(right)
    turn = np.stack([right, np.cross(away, right), away])
    return np.concatenate([turn, -turn @ centre[:, None]], axis=1).astype(np.float32)
