"""Positions relative to a stall's floor, walls and zones, in px of its camera."""

from __future__ import annotations

import pytest

from edged.behaviour.horse.geometry import is_on_floor, wall_distance_px, zone_at
from edged.behaviour.horse.keypoints import Box
from edged.behaviour.horse.polygons import contains
from edged.config.tables.stall import StallConfig
from tests.support.stall import STALL


@pytest.mark.parametrize(
    ("box", "on_floor"),
    [((40, 0, 60, 90), True), ((40, 0, 60, 104), True), ((140, 0, 160, 90), False), ((40, 0, 60, 20), False)],
    ids=["on it", "a little beyond it", "a neighbour", "behind the wall"],
)
def test_box_is_on_the_floor_when_its_lower_edge_is(box: Box, on_floor: bool) -> None:
    assert is_on_floor(STALL, box) == on_floor


def test_stall_without_a_floor_contains_every_box_and_has_no_wall() -> None:
    assert is_on_floor(StallConfig(), (0, 0, 1, 1))
    assert wall_distance_px(StallConfig(), (0, 0)) == float("inf")


@pytest.mark.parametrize(
    ("point", "inside"), [((50, 75), True), ((50, 49), False), ((-1, 75), False), ((99, 99), True)]
)
def test_polygon_contains_the_points_inside_it(point: tuple[float, float], inside: bool) -> None:
    assert STALL.floor is not None
    assert contains(STALL.floor, point) == inside


def test_open_side_is_not_a_wall() -> None:
    assert wall_distance_px(STALL, (50, 99)) == 49  # to the back wall; the open side is 1 px away
    assert wall_distance_px(STALL, (90, 75)) == 10


def test_point_is_in_the_zone_around_it_or_in_none() -> None:
    assert (zone_at(STALL, (18, 12)), zone_at(STALL, (12, 18))) == ("feeder", None)


@pytest.mark.parametrize("clock", ["6:30", "24:00", "06:60", "noon"])
def test_invalid_feeding_time_is_rejected(clock: str) -> None:
    with pytest.raises(ValueError, match="feeding_times"):
        StallConfig.model_validate({"feeding_times": [clock]})
