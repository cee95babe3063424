"""Triangles to depth: a z-buffer for the camera and one for the light.

`w` is 1/z for a camera and -z for a light: linear on the screen, larger is nearer.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from tools.synth.types import F32, I32

BANDS = 8  # of the image, filled side by side
NOTHING = -1  # the triangle number where there is none
FAR = np.float32(-1e9)


class Layer:
    """What is nearest at each pixel."""

    def __init__(self, size_wh: tuple[int, int], far: float = 0.0) -> None:
        self.w = np.full(size_wh[::-1], far, np.float32)
        self.triangle = np.full(size_wh[::-1], NOTHING, np.int32)
        self._far = np.float32(far)

    def clear(self) -> None:
        self.w.fill(self._far)
        self.triangle.fill(NOTHING)


@njit(parallel=True, fastmath=True, cache=True)
def to_view(vertices: F32, frame: F32) -> F32:
    """(V, 3) by a (3, 4) frame: x right, y down, z away."""
    out = np.empty_like(vertices)
    for v in prange(len(vertices)):
        for r in range(3):
            f = frame[r]
            out[v, r] = f[0] * vertices[v, 0] + f[1] * vertices[v, 1] + f[2] * vertices[v, 2] + f[3]
    return out


def perspective(view: F32, triangles: I32, lens: F32, near: float) -> tuple[F32, I32]:
    """Triangles on the screen as (M, 3, 3) x, y, w, and the (M,) triangle each is a piece of.

    `lens` is fx, fy, cx, cy. What lies nearer than `near` is cut off.
    """
    if view[:, 2].min() < near:
        return _cut(view, triangles, lens, near)
    return _whole(view, triangles, lens), np.arange(len(triangles), dtype=np.int32)


@njit(parallel=True, fastmath=True, cache=True)
def _whole(view: F32, triangles: I32, lens: F32) -> F32:
    out = np.empty((len(triangles), 3, 3), np.float32)
    for t in prange(len(triangles)):
        for i in range(3):
            v = triangles[t, i]
            w = 1.0 / view[v, 2]
            out[t, i, 0], out[t, i, 1] = view[v, 0] * w * lens[0] + lens[2], view[v, 1] * w * lens[1] + lens[3]
            out[t, i, 2] = w
    return out


@njit(fastmath=True, cache=True)
def _cut(view: F32, triangles: I32, lens: F32, near: float) -> tuple[F32, I32]:
    out = np.empty((2 * len(triangles), 3, 3), np.float32)
    source = np.empty(2 * len(triangles), np.int32)
    corners = np.empty((4, 3), np.float32)
    count = 0
    for t in range(len(triangles)):
        n = _clip(view, triangles, t, near, corners)
        for i in range(n):
            w = 1.0 / corners[i, 2]
            corners[i, 0], corners[i, 1] = corners[i, 0] * w * lens[0] + lens[2], corners[i, 1] * w * lens[1] + lens[3]
            corners[i, 2] = w
        for i in range(1, n - 1):
            for c in range(3):
                out[count, 0, c], out[count, 1, c], out[count, 2, c] = corners[0, c], corners[i, c], corners[i + 1, c]
            source[count] = t
            count += 1
    return out[:count], source[:count]


@njit(fastmath=True, cache=True)
def _clip(view: F32, triangles: I32, t: int, near: float, corners: F32) -> int:
    """Writes what is left of a triangle behind the near plane; returns the number of its corners."""
    n = 0
    for i in range(3):
        a, b = triangles[t, i], triangles[t, (i + 1) % 3]
        za, zb = view[a, 2], view[b, 2]
        if za >= near:
            corners[n, 0], corners[n, 1], corners[n, 2] = view[a, 0], view[a, 1], za
            n += 1
        if (za >= near) != (zb >= near):
            s = (near - za) / (zb - za)
            corners[n, 0] = view[a, 0] + s * (view[b, 0] - view[a, 0])
            corners[n, 1] = view[a, 1] + s * (view[b, 1] - view[a, 1])
            corners[n, 2] = near
            n += 1
    return n


def parallel_light(view: F32, triangles: I32, lens: F32) -> tuple[F32, I32]:
    """Triangles in a light's map: `lens` is the scale and the middle, in pixels."""
    points = np.concatenate([view[:, :2] * lens[:2] + lens[2:], -view[:, 2:]], axis=1)
    return points[triangles], np.arange(len(triangles), dtype=np.int32)


@njit(parallel=True, fastmath=True, cache=True)
def fill(screen: F32, source: I32, w: F32, triangle: I32) -> None:
    """Draws the triangles where they are nearest, and notes which."""
    height = len(w)
    for band in prange(BANDS):
        top, bottom = height * band // BANDS, height * (band + 1) // BANDS
        for t in range(len(screen)):
            y0, y1, y2 = screen[t, 0, 1], screen[t, 1, 1], screen[t, 2, 1]
            low = max(int(np.ceil(min(y0, y1, y2) - 0.5)), top)
            high = min(int(np.ceil(max(y0, y1, y2) - 0.5)), bottom)
            if low < high:
                _fill_one(screen, t, source[t], w, triangle, low, high)


@njit(fastmath=True, cache=True)
def _fill_one(screen: F32, t: int, number: int, w: F32, triangle: I32, low: int, high: int) -> None:
    x0, y0, x1, y1, x2, y2 = (
        screen[t, 0, 0],
        screen[t, 0, 1],
        screen[t, 1, 0],
        screen[t, 1, 1],
        screen[t, 2, 0],
        screen[t, 2, 1],
    )
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    if abs(area) < 1e-9:
        return
    w0, up1, up2 = screen[t, 0, 2], screen[t, 1, 2] - screen[t, 0, 2], screen[t, 2, 2] - screen[t, 0, 2]
    slope_x, slope_y = (up1 * (y2 - y0) - up2 * (y1 - y0)) / area, (up2 * (x1 - x0) - up1 * (x2 - x0)) / area
    for y in range(low, high):
        left, right = _span(x0, y0, x1, y1, x2, y2, y + 0.5)
        first, last = max(int(np.ceil(left - 0.5)), 0), min(int(np.ceil(right - 0.5)), w.shape[1])
        value = w0 + (first + 0.5 - x0) * slope_x + (y + 0.5 - y0) * slope_y
        for x in range(first, last):
            if value > w[y, x]:
                w[y, x] = value
                triangle[y, x] = number
            value += slope_x


@njit(fastmath=True, cache=True, inline="always")
def _span(x0: float, y0: float, x1: float, y1: float, x2: float, y2: float, y: float) -> tuple[float, float]:
    """Where a row enters and leaves a triangle."""
    left, right = 1e9, -1e9
    if (y0 <= y) != (y1 <= y):
        x = x0 + (y - y0) / (y1 - y0) * (x1 - x0)
        left, right = min(left, x), max(right, x)
    if (y1 <= y) != (y2 <= y):
        x = x1 + (y - y1) / (y2 - y1) * (x2 - x1)
        left, right = min(left, x), max(right, x)
    if (y2 <= y) != (y0 <= y):
        x = x2 + (y - y2) / (y0 - y2) * (x0 - x2)
        left, right = min(left, x), max(right, x)
    return left, right
