"""Whether a stall is drawn so that it can be: outlines, zones, sides. Downstream: `edged check`, `edged calibrate`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from edged.behaviour.horse.polygons import XY, contains, distance_to_edges, outline_error, sides
from edged.config.tables.stall import StallConfig

KeyPath = tuple[str, ...]  # in the table `[cameras.<name>.stall]`
CORNERS = 4  # of a floor of known size
ZONE_MARGIN = 0.25  # of the floor's longest side: how far beyond the floor a zone may begin; by hand


def drawing_errors(stall: StallConfig, size_wh: tuple[int, int] | None) -> Iterator[tuple[KeyPath, str]]:
    """What is wrong with a drawing, by key; `size_wh` None: the image's size is not known.

    `ground_plane.floor_size_errors` compares the floor with its size.
    """
    yield from outline_errors(stall)
    for path, polygon in _outlines(stall).items():
        if size_wh is not None and (error := _outside_image(polygon, size_wh)):
            yield path, error
    count = len(stall.floor or ())
    for side in stall.open_sides:
        if not 0 <= side < count:
            yield ("open_sides",), f"side {side}: the floor has sides 0 to {count - 1}"
    for name, polygon in stall.zones.items():
        if stall.floor is not None and (error := _out_of_reach(stall.floor, polygon)):
            yield ("zones", name), error
    if stall.floor_m is not None and stall.floor is None:
        yield ("floor_m",), "there is no floor to be of that size; draw it, or leave this out"
    elif stall.floor_m is not None and count != CORNERS:
        yield ("floor_m",), f"a floor of known size has {CORNERS} corners, not {count}; draw it so, or leave this out"


def outline_errors(stall: StallConfig) -> Iterator[tuple[KeyPath, str]]:
    """Outlines that are none, of a stall that is not monitored too."""
    for path, polygon in _outlines(stall).items():
        if error := outline_error(polygon):
            yield path, error


def _outlines(stall: StallConfig) -> Mapping[KeyPath, Sequence[XY]]:
    floor: Mapping[KeyPath, Sequence[XY]] = {} if stall.floor is None else {("floor",): stall.floor}
    return {**{("zones", name): polygon for name, polygon in stall.zones.items()}, **floor}


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
    distances_px = [distance_to_edges(floor, point) for point in zone]
    distances_px += [distance_to_edges(zone, point) for point in floor]
    gap_px = min(distances_px)
    if gap_px <= ZONE_MARGIN * max(math.dist(*side) for side in sides(floor)):
        return None
    return f"lies {gap_px:.0f} px outside the floor; no horse of this stall reaches it, correct one of the two"
