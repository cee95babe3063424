"""A stall drawn into an image of its camera: a grid to read positions from, the floor and the zones."""

from __future__ import annotations

import cv2
import numpy as np

from edged.config.tables.stall import StallConfig
from edged.frame import U8

Colour = tuple[int, int, int]  # BGR

GRID, WALL, OPEN, ZONE, EDGE = (230, 230, 230), (60, 200, 250), (120, 220, 120), (250, 170, 80), (20, 20, 20)
LINES = 12  # along the longer side, about
STEPS_PX = (10, 20, 25, 50, 100, 200, 250, 500)
FONT = cv2.FONT_HERSHEY_SIMPLEX


def with_grid(image: U8) -> U8:
    """A copy of the image, (H, W, 3) uint8 BGR, with a line at every round number of px."""
    canvas: U8 = image.copy()
    height, width = image.shape[:2]
    step = min(STEPS_PX, key=lambda px: abs(px - max(width, height) / LINES))
    faint = canvas.copy()
    for x in range(step, width, step):
        cv2.line(faint, (x, 0), (x, height), GRID, 1)
    for y in range(step, height, step):
        cv2.line(faint, (0, y), (width, y), GRID, 1)
    cv2.addWeighted(faint, 0.5, canvas, 0.5, 0, dst=canvas)
    for x in range(step, width, step):
        _text(canvas, str(x), (x + 2, 12), GRID)
    for y in range(step, height, step):
        _text(canvas, str(y), (2, y - 3), GRID)
    return canvas


def with_stall(image: U8, stall: StallConfig) -> U8:
    """A copy of the image, (H, W, 3) uint8 BGR, with a grid, the floor's sides (numbered) and the zones."""
    canvas = with_grid(image)
    corners = [(round(x), round(y)) for x, y in stall.floor or ()]
    for i, (begin, end) in enumerate(zip(corners, [*corners[1:], *corners[:1]], strict=True)):
        cv2.line(canvas, begin, end, OPEN if i in stall.open_sides else WALL, 2, cv2.LINE_AA)
        middle = (begin[0] + end[0]) // 2, (begin[1] + end[1]) // 2
        _text(canvas, f"{i}{' open' if i in stall.open_sides else ''}", middle, WALL)
    for name, polygon in stall.zones.items():
        points = np.array(polygon, np.int32)
        cv2.polylines(canvas, [points], True, ZONE, 2, cv2.LINE_AA)
        _text(canvas, name, (int(points[0, 0]) + 4, int(points[0, 1]) + 14), ZONE)
    return canvas


def _text(image: U8, text: str, at: tuple[int, int], colour: Colour) -> None:
    cv2.putText(image, text, at, FONT, 0.42, EDGE, 3, cv2.LINE_AA)
    cv2.putText(image, text, at, FONT, 0.42, colour, 1, cv2.LINE_AA)
