"""What stands in a stall and what beside it, in px of its camera; and what a wrong drawing is told."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from edged.behaviour.horse.geometry import contains, is_on_floor, wall_distance_px, zone_at
from edged.behaviour.horse.stall_monitors import StallMonitors, load_days
from edged.config.tables.stall import StallConfig
from edged.frame import Frame, FrameResult, ImageQuality, TrackedSubject
from edged.units import ns

STALL = StallConfig(
    enabled=True,
    floor=((0, 100), (100, 100), (100, 50), (0, 50)),
    open_sides=(0,),
    zones={"feeder": ((10, 10), (20, 10), (20, 20))},
)


def subject(label: str) -> TrackedSubject:
    box = np.array([0, 0, 10, 10], np.float32)
    return TrackedSubject(
        id=1, label=label, score=0.9, xyxy=box, keypoints=None, smoothed=None, schema=None, box_source="detected"
    )


@pytest.mark.parametrize(
    ("box", "stands"),
    [
        ((40, 0, 60, 90), True),
        ((40, 0, 60, 104), True),  # a little beyond what was drawn
        ((140, 0, 160, 90), False),  # the neighbour
        ((40, 0, 60, 20), False),  # seen over the wall
    ],
)
def test_a_horse_belongs_to_the_stall_it_stands_in(box: tuple[float, float, float, float], stands: bool) -> None:
    assert is_on_floor(STALL, box) == stands


def test_without_a_floor_everything_is_in_it() -> None:
    assert is_on_floor(StallConfig(), (0, 0, 1, 1))
    assert wall_distance_px(StallConfig(), (0, 0)) == float("inf")


@pytest.mark.parametrize(
    ("point", "within"), [((50, 75), True), ((50, 49), False), ((-1, 75), False), ((99, 99), True)]
)
def test_inside_is_inside(point: tuple[float, float], within: bool) -> None:
    assert STALL.floor is not None
    assert contains(STALL.floor, point) == within


def test_an_open_side_is_no_wall() -> None:
    assert wall_distance_px(STALL, (50, 99)) == 49  # the back wall; the open side is 1 px away
    assert wall_distance_px(STALL, (90, 75)) == 10


def test_the_nose_is_in_a_zone_or_in_none() -> None:
    assert (zone_at(STALL, (18, 12)), zone_at(STALL, (12, 18))) == ("feeder", None)


@pytest.mark.parametrize("clock", ["6:30", "24:00", "06:60", "noon"])
def test_a_feeding_time_is_a_time(clock: str) -> None:
    with pytest.raises(ValueError, match="local time of day"):
        StallConfig(feeding_times=(clock,))


def test_a_stall_that_is_told_otherwise_keeps_its_days(tmp_path: Path) -> None:
    stable = StallMonitors({"a": STALL}, 0.3, tmp_path)
    for date in ("2027-01-01", "2027-01-02"):
        stable._monitors["a"].day_log.today(date)
    stable.reconfigure({"a": STALL.model_copy(update={"zones": {}})})
    assert stable.day("a", "2027-01-01") is not None
    stable.save()
    assert [day.date for day in load_days(tmp_path)["a"]] == ["2027-01-01", "2027-01-02"]
    assert StallMonitors({"a": STALL}, 0.3, tmp_path).day("a", "2027-01-02") is not None


def test_the_days_before_are_written_once_a_day(tmp_path: Path) -> None:
    stable = StallMonitors({"a": STALL}, 0.3, tmp_path)
    ledger = stable._monitors["a"].day_log
    ledger.today("2027-01-01")
    ledger.today("2027-01-02")
    stable.save()
    (tmp_path / "stalls.json").unlink()
    stable.save()
    assert not (tmp_path / "stalls.json").exists()
    ledger.today("2027-01-03")
    stable.save()
    assert [day.date for day in load_days(tmp_path)["a"]] == ["2027-01-01", "2027-01-02", "2027-01-03"]


@pytest.mark.parametrize("torn", ["", "{", "[]", '{"a": 3}', '{"a": [{"nonsense": 1}]}'])
def test_torn_days_are_said_and_begin_again(torn: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "stalls.json").write_text(torn)
    assert StallMonitors({"a": STALL}, 0.3, tmp_path).day("a", "2027-01-01") is None
    assert "the stalls' days begin again" in caplog.text


def test_where_nothing_moves_fewer_frames_are_asked_for_and_all_again_when_somebody_comes(tmp_path: Path) -> None:
    asked: list[tuple[str, float | None]] = []
    stall = STALL.model_copy(update={"idle_hz": 2.0})
    stable = StallMonitors(
        {"a": stall, "b": STALL}, 0.3, tmp_path, set_idle_rate=lambda name, hz: asked.append((name, hz))
    )
    night = datetime(2027, 1, 1, 2, 0).astimezone()
    for second in range(20):
        stable.poll(ns(1000 + second), night)
    assert asked == [("a", 2.0)]
    clear = ImageQuality(brightness=100, contrast=100, sharpness=1)
    came = FrameResult(
        camera="a",
        seq=0,
        captured_ns=ns(1020),
        done_ns=ns(1020),
        size_wh=(100, 100),
        subjects=(subject("person"),),
        quality=clear,
        stage_ns={},
    )
    stable.sink(Frame(camera="a", seq=0, captured_ns=ns(1020), image=np.zeros((2, 2, 3), np.uint8)), came)
    stable.poll(ns(1021), night)
    assert asked == [("a", 2.0), ("a", None)]


def test_a_stall_that_is_watched_no_longer_does_not_rest(tmp_path: Path) -> None:
    asked: list[tuple[str, float | None]] = []
    stall = STALL.model_copy(update={"idle_hz": 2.0})
    stable = StallMonitors({"a": stall}, 0.3, tmp_path, set_idle_rate=lambda name, hz: asked.append((name, hz)))
    stable.poll(ns(1000), datetime(2027, 1, 1, 2, 0).astimezone())
    stable.reconfigure({})
    assert asked == [("a", 2.0), ("a", None)]
