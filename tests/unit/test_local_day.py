"""Local days of 23, 24 and 25 hours, and what a stall makes of them."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import numpy as np
import pytest

from edged.behaviour.horse.day_log import DayLog, StallDay
from edged.behaviour.horse.stall_monitor import StallMonitor
from edged.behaviour.local_day import clock_minute, day_minutes, instant, minute_of_day, wall_clock
from edged.config.tables.stall import StallConfig
from edged.drawing.day import LEFT, draw_day
from tests.support.zone import SetZone, set_zone

__all__ = ["set_zone"]

# POSIX rules, so that no zone database is needed: from the last Sunday of March to that of October, at 1:00 UTC.
BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
SANTIAGO = "<-04>4<-03>,M9.1.6/24,M4.1.6/24"  # changes at midnight
TROLL = "<+00>0<+02>-2,M3.5.0/1,M10.5.0/3"  # changes by two hours
ORDINARY, SHORT, LONG = "2027-03-27", "2027-03-28", "2027-10-31"


def minutes_of(day: str) -> list[datetime]:
    """Every minute of a local date."""
    begin = instant(date.fromisoformat(day), time())
    return [(begin + timedelta(minutes=minute)).astimezone() for minute in range(day_minutes(day))]


@pytest.mark.parametrize(
    ("zone", "day", "minutes"),
    [
        (BERLIN, ORDINARY, 1440),
        (BERLIN, SHORT, 1380),
        (BERLIN, LONG, 1500),
        (SANTIAGO, "2027-09-05", 1380),
        (SANTIAGO, "2027-04-03", 1500),
        (TROLL, SHORT, 1320),
        (TROLL, LONG, 1560),
    ],
)
def test_every_minute_of_a_day_has_a_place_of_its_own(zone: str, day: str, minutes: int, set_zone: SetZone) -> None:
    set_zone(zone)
    assert day_minutes(day) == minutes
    assert [minute_of_day(local) for local in minutes_of(day)] == list(range(minutes))
    assert {local.date().isoformat() for local in minutes_of(day)} == {day}
    assert len(StallDay.from_json(StallDay.of(day).to_json()).postures) == minutes, "as state files have it"


def masked(day: str, feeding: str) -> list[str]:
    """The wall clocks of a day at which the feeding time masks signs."""
    monitor = StallMonitor(StallConfig(enabled=True, feeding_times=(feeding,)), 0.3, DayLog([]), [])
    return [f"{local:%H:%M}" for local in minutes_of(day) if "feeding" in monitor._active_masks(0, local, night=True)]


@pytest.mark.parametrize(
    ("day", "feeding", "first", "last"),
    [
        (ORDINARY, "02:30", "02:01", "02:59"),
        (SHORT, "02:30", "03:01", "03:59"),
        (SHORT, "03:05", "01:36", "03:34"),
        (SHORT, "01:50", "01:21", "03:19"),
        (LONG, "02:30", "02:01", "02:59"),
        (ORDINARY, "00:00", "00:00", "23:59"),
    ],
)
def test_feeding_masks_an_hour_of_every_day(day: str, feeding: str, first: str, last: str, set_zone: SetZone) -> None:
    set_zone(BERLIN)
    clocks = masked(day, feeding)
    assert (len(clocks), clocks[0], clocks[-1]) == (59, first, last)


def test_hour_that_comes_twice_keeps_both_of_its_minutes(set_zone: SetZone) -> None:
    set_zone(BERLIN)
    day = StallDay.of(LONG)
    for local in minutes_of(LONG):
        day.mark_minute(minute_of_day(local), "standing", "above", active=True)
    assert set(day.activity) == {1.0}
    again = StallDay.from_json(day.to_json())
    assert np.array_equal(again.postures, day.postures)


def test_hour_that_comes_twice_is_not_taken_for_usual() -> None:
    days = [StallDay(f"2027-01-{number:02}") for number in range(1, 8)]
    for day in days:
        day.add(2, {"standing-s": 3000.0, "walking-s": 60.0})
    days[0].add(2, {"standing-s": 3000.0, "walking-s": 3600.0})
    z_score = DayLog(days).z_score("walking-s", 60.0, datetime(2027, 1, 7, 2, 30).astimezone())
    assert z_score == 0.0


def test_picture_of_a_long_day_is_an_hour_wider_and_its_clock_marks_are_right(set_zone: SetZone) -> None:
    set_zone(BERLIN)
    assert draw_day("x", StallDay.of(LONG)).shape[1] == draw_day("x", StallDay.of(ORDINARY)).shape[1] + 60
    assert (clock_minute(LONG, 2), clock_minute(LONG, 4), clock_minute(SHORT, 4)) == (120, 300, 180)
    assert tuple(draw_day("x", StallDay.of(LONG))[86, LEFT + 300]) != tuple(
        draw_day("x", StallDay.of(LONG))[86, LEFT + 240]
    )


def test_wall_clock_of_a_minute_follows_the_changes_of_the_clock(set_zone: SetZone) -> None:
    set_zone(BERLIN)
    assert [wall_clock(LONG, minute) for minute in (0, 120, 185, 240)] == ["00:00", "02:00", "02:05", "03:00"]
    assert wall_clock(SHORT, 120) == "03:00"
