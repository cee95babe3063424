"""A stall drawn into an image of its camera: a grid to read positions from, the floor and the zones."""

from __future__ import annotations

import math

import cv2
import numpy as np

from edged.config.tables.stall import StallConfig
from edged.frame import U8

Colour = tuple[int, int, int]  # BGR

GRID, WALL, OPEN, ZONE, PLATE = (230, 230, 230), (60, 200, 250), (120, 220, 120), (250, 190, 120), (40, 35, 30)
LINES = 12  # along the longer side, about
STEPS_PX = (10, 20, 25, 50, 100, 200, 250, 500)
MIN_SIDE_PX = 1280  # longest side of the picture, at least: positions are read off it by eye
FONT, SCALE, PAD = cv2.FONT_HERSHEY_SIMPLEX, 0.5, 4


def with_grid(image: U8) -> U8:
    """An enlarged copy of the image, (H, W, 3) uint8 BGR, with a line at every round number of the image's px."""
    height, width = image.shape[:2]
    scale = _scale(image)
    canvas = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR), np.uint8)
    step = min(STEPS_PX, key=lambda px: abs(px - max(width, height) / LINES))
    faint = canvas.copy()
    for x in range(step, width, step):
        cv2.line(faint, (x * scale, 0), (x * scale, height * scale), GRID, 1)
    for y in range(step, height, step):
        cv2.line(faint, (0, y * scale), (width * scale, y * scale), GRID, 1)
    cv2.addWeighted(faint, 0.5, canvas, 0.5, 0, dst=canvas)
    for x in range(step, width, step):
        _text(canvas, str(x), (x * scale, 10), GRID)
    for y in range(step, height, step):
        _text(canvas, str(y), (18, y * scale), GRID)
    return canvas


def with_stall(image: U8, stall: StallConfig) -> U8:
    """A copy of the image (H, W, 3) BGR as `with_grid` makes it, with the floor's sides (numbered) and the zones."""
    canvas, scale = with_grid(image), _scale(image)
    corners = [(round(scale * x), round(scale * y)) for x, y in stall.floor or ()]
    for i, (begin, end) in enumerate(zip(corners, [*corners[1:], *corners[:1]], strict=True)):
        is_open = i in stall.open_sides
        cv2.line(canvas, begin, end, OPEN if is_open else WALL, 2, cv2.LINE_AA)
        middle = (begin[0] + end[0]) // 2, (begin[1] + end[1]) // 2
        _text(canvas, f"side {i}{', open' if is_open else ''}", middle, OPEN if is_open else WALL)
    for name, polygon in stall.zones.items():
        points = np.rint(scale * np.array(polygon)).astype(np.int32)
        cv2.polylines(canvas, [points], True, ZONE, 2, cv2.LINE_AA)
        _text(canvas, name, (int(points[:, 0].mean()), int(points[:, 1].mean())), ZONE)
    return canvas


def _scale(image: U8) -> int:
    """How many times larger the picture is than the image."""
    longest: int = max(image.shape[:2])
    return max(1, math.ceil(MIN_SIDE_PX / longest))


def _text(image: U8, text: str, middle: tuple[int, int], colour: Colour) -> None:
    """Write on a dark plate around `middle`, moved inside the image."""
    (width, height), _ = cv2.getTextSize(text, FONT, SCALE, 1)
    x = min(max(middle[0] - width // 2, PAD), image.shape[1] - width - PAD)
    y = min(max(middle[1] + height // 2, height + PAD), image.shape[0] - PAD)
    cv2.rectangle(image, (x - PAD, y - height - PAD), (x + width + PAD, y + PAD), PLATE, cv2.FILLED)
    cv2.putText(image, text, (x, y), FONT, SCALE, colour, 1, cv2.LINE_AA)
