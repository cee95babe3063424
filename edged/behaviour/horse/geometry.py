"""A drawn stall in image coordinates: what stands on its floor, what is in a zone, how near a wall is.

Pure; px. Without numpy, so that checking a configuration need not load it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from edged.behaviour.horse.thresholds import THRESHOLDS
from edged.config.tables.stall import StallConfig

T = THRESHOLDS.stall
XY = tuple[float, float]
XYXY = tuple[float, float, float, float]
KeyPath = tuple[str, ...]  # in the table `[cameras.<name>.stall]`


def is_on_floor(stall: StallConfig, box: XYXY) -> bool:
    """Whether the middle of a box's lower edge lies on the floor, or close to it."""
    if stall.floor is None:
        return True
    x0, y0, x1, y1 = box
    foot, margin = ((x0 + x1) / 2, y1), T.floor_margin * max(x1 - x0, y1 - y0)
    return contains(stall.floor, foot) or _distance_to_edges(stall.floor, foot) <= margin


def zone_at(stall: StallConfig, point: XY) -> str | None:
    """The first zone that a point lies in."""
    return next((name for name, polygon in stall.zones.items() if contains(polygon, point)), None)


def wall_distance_px(stall: StallConfig, point: XY) -> float:
    """From a point to the nearest wall, in the image; infinite when no floor is drawn."""
    if stall.floor is None:
        return math.inf
    walls = [side for i, side in enumerate(_sides(stall.floor)) if i not in stall.open_sides]
    return min((_distance_to_segment(point, *side) for side in walls), default=math.inf)


def drawing_errors(stall: StallConfig, size_wh: tuple[int, int] | None) -> Iterator[tuple[KeyPath, str]]:
    """What is wrong with a drawing, by key; `size_wh` None: the image's size is not known.

    `ground_plane.floor_size_errors` compares the floor with its size.
    """
    polygons: Mapping[KeyPath, Sequence[XY]] = {("zones", name): polygon for name, polygon in stall.zones.items()}
    if stall.floor is not None:
        polygons = {**polygons, ("floor",): stall.floor}
    for path, polygon in polygons.items():
        if _self_intersects(polygon):
            yield path, "its outline crosses itself; give the corners in turn"
    for path, polygon in polygons.items():
        if size_wh is not None and (error := _outside_image(polygon, size_wh)):
            yield path, error
    sides = len(stall.floor or ())
    for side in stall.open_sides:
        if not 0 <= side < sides:
            yield ("open_sides",), f"side {side}: the floor has sides 0 to {sides - 1}"
    for name, polygon in stall.zones.items():
        if stall.floor is not None and (error := _out_of_reach(stall.floor, polygon)):
            yield ("zones", name), error
    if stall.floor_m is not None and stall.floor is None:
        yield ("floor_m",), "there is no floor to be of that size; draw it, or leave this out"


def _outside_image(polygon: Sequence[XY], size_wh: tuple[int, int]) -> str | None:
    width, height = size_wh
    for x, y in polygon:
        if not (0 <= x <= width and 0 <= y <= height):
            return f"{(x, y)} lies outside the image of {width} x {height} px; read it again"
    return None


def _out_of_reach(floor: Sequence[XY], zone: Sequence[XY]) -> str | None:
    """A rack hangs on the wall, above the floor in the image; but a horse on the floor must reach it."""
    if any(contains(floor, point) for point in zone) or any(contains(zone, point) for point in floor):
        return None
    distances_px = [_distance_to_edges(floor, point) for point in zone]
    distances_px += [_distance_to_edges(zone, point) for point in floor]
    gap_px = min(distances_px)
    if gap_px <= T.zone_margin * max(math.dist(*side) for side in _sides(floor)):
        return None
    return f"lies {gap_px:.0f} px outside the floor; no horse of this stall reaches it, correct one of the two"


def _self_intersects(polygon: Sequence[XY]) -> bool:
    """Whether two sides that are not neighbours cross."""
    sides = _sides(polygon)
    apart = ((i, j) for i in range(len(sides)) for j in range(i + 2, len(sides)) if (j + 1) % len(sides) != i)
    return any(_segments_cross(*sides[i], *sides[j]) for i, j in apart)


def _segments_cross(a: XY, b: XY, c: XY, d: XY) -> bool:
    """Each segment's ends lie on both sides of the other."""
    return _orientation(a, b, c) * _orientation(a, b, d) < 0 and _orientation(c, d, a) * _orientation(c, d, b) < 0


def _orientation(begin: XY, end: XY, point: XY) -> float:
    """Positive when a point lies on one side of the line from `begin` to `end`, negative on the other."""
    return (end[0] - begin[0]) * (point[1] - begin[1]) - (end[1] - begin[1]) * (point[0] - begin[0])


def contains(polygon: Sequence[XY], point: XY) -> bool:
    """Whether a point lies in a polygon: a ray to the right crosses the outline an odd number of times."""
    x, y = point
    crossings = sum(
        (y0 > y) != (y1 > y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0) for (x0, y0), (x1, y1) in _sides(polygon)
    )
    return crossings % 2 == 1


def _sides(polygon: Sequence[XY]) -> list[tuple[XY, XY]]:
    return list(zip(polygon, [*polygon[1:], polygon[0]], strict=True))


def _distance_to_edges(polygon: Sequence[XY], point: XY) -> float:
    return min(_distance_to_segment(point, *side) for side in _sides(polygon))


def _distance_to_segment(point: XY, begin: XY, end: XY) -> float:
    (x, y), (x0, y0), (x1, y1) = point, begin, end
    dx, dy = x1 - x0, y1 - y0
    share = ((x - x0) * dx + (y - y0) * dy) / max(dx * dx + dy * dy, 1e-9)
    share = min(1.0, max(0.0, share))
    return math.hypot(x - x0 - share * dx, y - y0 - share * dy)
