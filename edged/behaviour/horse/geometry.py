"""A drawn stall in image coordinates: what stands on its floor, what is in a zone, how near a wall is. Pure; px."""

from __future__ import annotations

import math

from edged.behaviour.horse.polygons import XY, contains, distance_to_edges, distance_to_segment, sides
from edged.behaviour.horse.thresholds import Stall as T
from edged.config.tables.stall import StallConfig

XYXY = tuple[float, float, float, float]


def is_on_floor(stall: StallConfig, box: XYXY) -> bool:
    """Whether the middle of a box's lower edge lies on the floor, or close to it."""
    if stall.floor is None:
        return True
    x0, y0, x1, y1 = box
    foot, margin = ((x0 + x1) / 2, y1), T.floor_margin * max(x1 - x0, y1 - y0)
    return contains(stall.floor, foot) or distance_to_edges(stall.floor, foot) <= margin


def zone_at(stall: StallConfig, point: XY) -> str | None:
    """The first zone that a point lies in."""
    return next((name for name, polygon in stall.zones.items() if contains(polygon, point)), None)


def wall_distance_px(stall: StallConfig, point: XY) -> float:
    """From a point to the nearest wall, in the image; infinite when no floor is drawn."""
    if stall.floor is None:
        return math.inf
    walls = [side for i, side in enumerate(sides(stall.floor)) if i not in stall.open_sides]
    return min((distance_to_segment(point, *side) for side in walls), default=math.inf)
