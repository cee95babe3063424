"""The stall as the camera sees it: what stands on its floor, what is in a zone, how near a wall is. Pure; px."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edged.behaviour.horse.ground_plane import GroundPlane
from edged.config.tables.stall import StallConfig

XY = tuple[float, float]
Where = tuple[str, ...]
REACH = 0.25  # of the floor's longest side: how far beyond it a zone may begin
OUTSIDE = 0.1  # of the box's longer side that a horse may stand beyond the drawn floor


def is_on_floor(stall: StallConfig, box: tuple[float, float, float, float]) -> bool:
    """Whether a box is rooted on the floor: the middle of its lower edge lies in it, or close."""
    if stall.floor is None:
        return True
    x0, y0, x1, y1 = box
    root, near = ((x0 + x1) / 2, y1), OUTSIDE * max(x1 - x0, y1 - y0)
    return contains(stall.floor, root) or _distance_to_edges(stall.floor, root) <= near


def zone_at(stall: StallConfig, point: XY) -> str | None:
    """The first zone a point lies in."""
    return next((name for name, polygon in stall.zones.items() if contains(polygon, point)), None)


def wall_distance_px(stall: StallConfig, point: XY) -> float:
    """From a point to the nearest wall, along the image; infinite where no floor is drawn."""
    if stall.floor is None:
        return math.inf
    walls = [side for i, side in enumerate(_sides(stall.floor)) if i not in stall.open_sides]
    return min((_distance_to_segment(point, *side) for side in walls), default=math.inf)


def ground_plane(stall: StallConfig, size_wh: tuple[int, int]) -> GroundPlane | None:
    """The floor as a plane of known size; None when its size is not given. Raises ValueError when it does not fit."""
    if stall.floor is None or stall.floor_m is None:
        return None
    return GroundPlane(stall.floor, stall.floor_m, size_wh)


def drawing_errors(stall: StallConfig, size_wh: tuple[int, int] | None) -> list[tuple[Where, str]]:
    """What is wrong with a drawing, and where in the stall's table; what lies outside an image of that size too."""
    drawn: dict[Where, Sequence[XY]] = {("zones", name): polygon for name, polygon in stall.zones.items()}
    if stall.floor is not None:
        drawn[("floor",)] = stall.floor
    found = [
        (where, "its outline crosses itself; give the corners in turn")
        for where, p in drawn.items()
        if _self_intersects(p)
    ]
    if size_wh is not None:
        found += [(where, told) for where, polygon in drawn.items() if (told := _outside_image(polygon, size_wh))]
    sides = len(stall.floor or ())
    strange = [i for i in stall.open_sides if not 0 <= i < sides]
    found += [(("open_sides",), f"side {i}: the floor has sides 0 to {sides - 1}") for i in strange]
    found += [
        (("zones", name), told)
        for name, polygon in stall.zones.items()
        if (told := _out_of_reach(stall.floor, polygon))
    ]
    return found or [(("floor_m",), told) for told in _floor_size_errors(stall, size_wh)]


def _outside_image(polygon: Sequence[XY], size_wh: tuple[int, int]) -> str | None:
    width, height = size_wh
    for x, y in polygon:
        if not (0 <= x <= width and 0 <= y <= height):
            return f"{(x, y)} lies outside the image of {width} x {height} px; read it again"
    return None


def _out_of_reach(floor: Sequence[XY] | None, zone: Sequence[XY]) -> str | None:
    """A rack hangs on the wall, above the floor in the picture; but the horse that stands there must reach it."""
    if floor is None or any(contains(floor, point) for point in zone) or any(contains(zone, point) for point in floor):
        return None
    far = min(
        [_distance_to_edges(floor, point) for point in zone] + [_distance_to_edges(zone, point) for point in floor]
    )
    reach = REACH * max(math.dist(*side) for side in _sides(floor))
    if far <= reach:
        return None
    return f"lies {far:.0f} px outside the floor; no horse of this stall reaches it, correct one of the two"


def _floor_size_errors(stall: StallConfig, size_wh: tuple[int, int] | None) -> list[str]:
    if stall.floor_m is not None and stall.floor is None:
        return ["there is no floor to be of that size; draw it, or leave this out"]
    if size_wh is None:
        return []
    try:
        ground_plane(stall, size_wh)
    except ValueError as exc:
        return [str(exc)]
    return []


def _self_intersects(polygon: Sequence[XY]) -> bool:
    """Two sides that are no neighbours meet."""
    sides = _sides(polygon)
    apart = ((i, j) for i in range(len(sides)) for j in range(i + 2, len(sides)) if (j + 1) % len(sides) != i)
    return any(_segments_cross(*sides[i], *sides[j]) for i, j in apart)


def _segments_cross(a: XY, b: XY, c: XY, d: XY) -> bool:
    """Each segment's ends lie on both sides of the other."""
    return _orientation(a, b, c) * _orientation(a, b, d) < 0 and _orientation(c, d, a) * _orientation(c, d, b) < 0


def _orientation(begin: XY, end: XY, point: XY) -> float:
    return (end[0] - begin[0]) * (point[1] - begin[1]) - (end[1] - begin[1]) * (point[0] - begin[0])


def contains(polygon: Sequence[XY], point: XY) -> bool:
    """Even-odd rule: a ray to the right crosses the outline an odd number of times."""
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
