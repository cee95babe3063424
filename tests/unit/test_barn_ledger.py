"""The days of a stall: kept, bounded, and what is usual at an hour."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from edged.behaviour.horse.bouts import BoutDetector, BoutRule
from edged.behaviour.horse.day_log import MAX_DAYS, DayLog, StallDay
from edged.behaviour.horse.tally import RollingCounts

AT = datetime(2027, 1, 20, 2, 30).astimezone()
HOUR = {"standing-s": 3000.0}


def days(values: list[float], seen_s: float = 3000.0) -> list[StallDay]:
    made = []
    for number, value in enumerate(values, 1):
        day = StallDay(f"2027-01-{number:02}")
        day.add(2, {"standing-s": seen_s, "walking-s": value})
        made.append(day)
    return [*made, StallDay("2027-01-20")]


def test_what_is_usual_needs_five_days_that_were_seen() -> None:
    assert DayLog(days([60.0] * 4)).z_score("walking-s", 600, AT) is None
    assert DayLog(days([60.0] * 6, seen_s=1000)).z_score("walking-s", 600, AT) is None
    assert DayLog(days([60.0] * 5)).z_score("walking-s", 60, AT) == 0


def test_far_from_usual_is_far() -> None:
    z = DayLog(days([50.0, 60.0, 70.0, 60.0, 60.0])).z_score("walking-s", 600, AT)
    assert z is not None
    assert z > 10


def test_a_day_survives_a_restart() -> None:
    ledger = DayLog([])
    day = ledger.today("2027-01-20")
    day.add(2, HOUR)
    day.mark_minute(150, "lateral", "below", True)
    again = DayLog.from_json(json.loads(json.dumps([day.to_json()]))).today("2027-01-20")
    assert (again.observed_s, again.postures[150], again.heads[150], again.activity[150]) == (3000.0, "L", "b", 1.0)


def test_days_are_bounded_and_a_clock_set_back_makes_no_new_one() -> None:
    ledger = DayLog([])
    for number in range(1, 31):
        ledger.today(f"2027-01-{number:02}")
    assert len(ledger.days) == MAX_DAYS + 1
    assert ledger.today("1970-01-01").date == "2027-01-30"


def test_a_tally_forgets_what_is_outside_the_window() -> None:
    tally = RollingCounts()
    tally.add(0, {"roll": 1})
    tally.add(600, {"roll": 1})
    assert [tally.totals(minutes, 620)["roll"] for minutes in (5, 11)] == [1, 2]


@pytest.mark.parametrize(
    ("going_on", "lasted"),
    [
        ([(0, True), (1, True), (2, False), (3, True), (10, False)], [3.0]),  # a short break belongs to it
        ([(0, True), (10, False)], []),  # too short
        ([(0, True), (1, True), (10, None)], [1.0]),
        ([(t, True) for t in range(60)] + [(70, False)], []),  # too long to be one
    ],
)
def test_bouts_are_joined_over_short_breaks_and_counted_once(
    going_on: list[tuple[float, bool | None]], lasted: list[float]
) -> None:
    bouts = BoutDetector(BoutRule("x", min_s=1, merge_gap_s=2, max_s=20))
    assert [s for t, on in going_on if (s := bouts.update(t, on)) is not None] == lasted
