"""What stands on a stall's floor and what beside it, in px of its camera."""

from __future__ import annotations

import numpy as np
import pytest

from edged.behaviour.horse.geometry import is_on_floor, wall_distance_px, zone_at
from edged.behaviour.horse.keypoints import Box
from edged.behaviour.horse.polygons import contains
from edged.config.tables.stall import StallConfig
from edged.frame import FrameResult, ImageQuality, TrackedSubject
from edged.units import ns

STALL = StallConfig(
    enabled=True,
    floor=((0, 100), (100, 100), (100, 50), (0, 50)),
    open_sides=(0,),
    zones={"feeder": ((10, 10), (20, 10), (20, 20))},
)


def subject(label: str, *, number: int = 1, box: Box = (0, 0, 10, 10), detected: bool = True) -> TrackedSubject:
    return TrackedSubject(
        id=number,
        label=label,
        score=0.9,
        xyxy=np.array(box, np.float32),
        keypoints=None,
        smoothed=None,
        schema=None,
        box_source="detected" if detected else "tracked",
    )


def result(*subjects: TrackedSubject, camera: str = "a", t_s: float = 0.0) -> FrameResult:
    return FrameResult(
        camera=camera,
        seq=0,
        captured_ns=ns(t_s),
        done_ns=ns(t_s),
        size_wh=(100, 100),
        subjects=subjects,
        quality=ImageQuality(brightness=100, contrast=100, sharpness=1),
        stage_ns={},
    )


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


def test_open_side_is_no_wall() -> None:
    assert wall_distance_px(STALL, (50, 99)) == 49  # to the back wall; the open side is 1 px away
    assert wall_distance_px(STALL, (90, 75)) == 10


def test_point_is_in_the_zone_around_it_or_in_none() -> None:
    assert (zone_at(STALL, (18, 12)), zone_at(STALL, (12, 18))) == ("feeder", None)


@pytest.mark.parametrize("clock", ["6:30", "24:00", "06:60", "noon"])
def test_feeding_time_that_is_no_time_of_day_is_refused(clock: str) -> None:
    with pytest.raises(ValueError, match="feeding_times"):
        StallConfig.model_validate({"feeding_times": [clock]})
