"""Polygons in the plane, as sequences of corners. Pure Python: numpy would not pay for a handful of corners."""

from __future__ import annotations

import math
from collections.abc import Sequence

XY = tuple[float, float]


def contains(polygon: Sequence[XY], point: XY) -> bool:
    """Whether a point lies in a polygon: a ray to the right crosses the outline an odd number of times."""
    x, y = point
    crossings = sum(
        (y0 > y) != (y1 > y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0) for (x0, y0), (x1, y1) in sides(polygon)
    )
    return crossings % 2 == 1


def sides(polygon: Sequence[XY]) -> list[tuple[XY, XY]]:
    return list(zip(polygon, [*polygon[1:], polygon[0]], strict=True))


def distance_to_edges(polygon: Sequence[XY], point: XY) -> float:
    return min(distance_to_segment(point, *side) for side in sides(polygon))


def distance_to_segment(point: XY, begin: XY, end: XY) -> float:
    (x, y), (x0, y0), (x1, y1) = point, begin, end
    dx, dy = x1 - x0, y1 - y0
    share = ((x - x0) * dx + (y - y0) * dy) / max(dx * dx + dy * dy, 1e-9)
    share = min(1.0, max(0.0, share))
    return math.hypot(x - x0 - share * dx, y - y0 - share * dy)


def outline_error(polygon: Sequence[XY]) -> str | None:
    """What is wrong with an outline: two of its sides cross, there is nothing inside, or no px. None: nothing."""
    if all(0 <= value <= 1 for corner in polygon for value in corner):
        return "is smaller than a pixel: corners are in px, not in shares of the image; multiply by its size"
    edges = sides(polygon)
    apart = ((i, j) for i in range(len(edges)) for j in range(i + 2, len(edges)) if (j + 1) % len(edges) != i)
    for i, j in apart:
        if _segments_cross(*edges[i], *edges[j]):
            crossing = " and ".join(f"side {side} from {_text(edges[side])}" for side in (i, j))
            return f"its outline crosses itself: {crossing}; give the corners in turn"
    if sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in edges) == 0:
        return "its corners lie on one line, with nothing inside; draw it again"
    return None


def _text(side: tuple[XY, XY]) -> str:
    return " to ".join(f"({x:g}, {y:g})" for x, y in side)


def _segments_cross(a: XY, b: XY, c: XY, d: XY) -> bool:
    """Each segment's ends lie on both sides of the other."""
    return _orientation(a, b, c) * _orientation(a, b, d) < 0 and _orientation(c, d, a) * _orientation(c, d, b) < 0


def _orientation(begin: XY, end: XY, point: XY) -> float:
    """Positive when a point lies on one side of the line from `begin` to `end`, negative on the other."""
    return (end[0] - begin[0]) * (point[1] - begin[1]) - (end[1] - begin[1]) * (point[0] - begin[0])
