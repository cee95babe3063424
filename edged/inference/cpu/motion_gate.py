"""Whether anything has moved since an image that was looked at: frames of a scene at rest need no models."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np

from edged.config.tables.camera import CameraConfig, MotionGateConfig
from edged.frame import U8, Frame, PixelFormat
from edged.units import ns

# Source: chosen by hand; `python -m tools.motion_gate` shows their effect.
GRID_WIDTH = 160  # cells along x; a cell is the mean of its pixels, which averages noise out
MIN_CELLS = 2  # changed cells that are movement; one may be a speck of dust, or a dead pixel


class MotionGate:
    """Compares each frame of one camera with a reference image: the last one that moved, or that was due.

    So slow movement adds up until it is seen. Compute thread only.
    """

    def __init__(self, options: MotionGateConfig, roi: tuple[int, int, int, int] | None) -> None:
        self._min_change, self._roi = options.min_change, roi
        self._rest_ns, self._refresh_ns = ns(options.rest_s), ns(options.refresh_s)
        self._reference: U8 | None = None
        self._reference_ns = self._moved_ns = 0

    def is_still(self, frame: Frame) -> bool:
        """Whether this frame needs no inference; to be called once for every frame that may be inferred."""
        t_ns, grid = frame.scene_ns, _grid(frame, self._roi)
        if t_ns < self._reference_ns or self._has_moved(grid):
            self._reference, self._reference_ns, self._moved_ns = grid, t_ns, t_ns
            return False
        if t_ns - self._reference_ns >= self._refresh_ns:
            self._reference, self._reference_ns = grid, t_ns
            return False
        return t_ns - self._moved_ns >= self._rest_ns

    def _has_moved(self, grid: U8) -> bool:
        if self._reference is None or grid.shape != self._reference.shape:
            return True
        change = cv2.absdiff(grid, self._reference)
        return bool(np.count_nonzero(change >= self._min_change) >= MIN_CELLS)


def motion_gate(options: CameraConfig) -> MotionGate | None:
    """The gate of a camera, if it has one."""
    return MotionGate(options.motion_gate, options.roi) if options.gates_motion else None


def _grid(frame: Frame, roi: tuple[int, int, int, int] | None) -> U8:
    """(h, GRID_WIDTH) uint8 brightness of the cells of a frame, or of its region."""
    width, height = frame.size_wh
    x0, y0, x1, y1 = roi or (0, 0, width, height)
    part = _light(frame.image, frame.pixel_format, height)[y0:y1, x0:x1]
    columns = min(GRID_WIDTH, part.shape[1])
    rows = max(1, round(part.shape[0] * columns / part.shape[1]))
    cells = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA)
    return cast(U8, cells if cells.ndim == 2 else cv2.cvtColor(cells, cv2.COLOR_BGR2GRAY))


def _light(image: U8, pixel_format: PixelFormat, height: int) -> U8:
    """The part of an image that has its brightness: BGR, or one plane."""
    return image[..., 0] if pixel_format == "yuyv" else image[:height]
