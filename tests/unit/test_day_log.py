"""The days of a stall: kept, bounded, and what is usual at an hour; the last hours by the minute."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from edged.behaviour.horse.behaviours import BoutDetector
from edged.behaviour.horse.day_log import DayLog, MinuteCode, RollingCounts, StallDay
from edged.behaviour.horse.thresholds import Bout, Habit

AT = datetime(2027, 1, 20, 2, 30).astimezone()


def days(values: list[float], observed_s: float = 3000.0) -> list[StallDay]:
    made = []
    for number, value in enumerate(values, 1):
        day = StallDay(f"2027-01-{number:02}")
        day.add(2, {"standing-s": observed_s, "walking-s": value})
        made.append(day)
    return [*made, StallDay("2027-01-20")]


@pytest.mark.parametrize(
    ("values", "observed_s", "z_score"),
    [([60.0] * 4, 3000, None), ([60.0] * 6, 1000, None), ([60.0] * 5, 3000, 0.0)],
    ids=["four days", "hardly observed", "five days"],
)
def test_z_score_is_known_from_five_observed_days_on(
    values: list[float], observed_s: float, z_score: float | None
) -> None:
    assert DayLog(days(values, observed_s)).z_score("walking-s", 60, AT) == z_score


def test_z_score_of_a_value_far_from_usual_is_high() -> None:
    z_score = DayLog(days([50.0, 60.0, 70.0, 60.0, 60.0])).z_score("walking-s", 600, AT)
    assert z_score is not None
    assert z_score > 10


def marked() -> StallDay:
    day = StallDay("2027-01-20")
    day.add(2, {"standing-s": 3000.0})
    day.mark_minute(150, "lateral", "below", active=True)
    return day


def test_day_read_from_its_json_is_the_same_day() -> None:
    again = StallDay.from_json(json.loads(json.dumps(marked().to_json())))
    assert (again.observed_s, again.activity[150]) == (3000.0, 1.0)
    assert np.array_equal(again.postures, marked().postures)
    assert (again.postures[150], again.heads[150]) == (MinuteCode.LATERAL, MinuteCode.HEAD_BELOW)


def test_day_as_json_has_one_character_a_minute() -> None:
    table = marked().to_json()
    assert (len(table["postures"]), table["postures"][149:152], table["heads"][150]) == (1440, " L ", "b")


@pytest.mark.parametrize(
    "wrong",
    [
        {"postures": "SSS"},
        {"heads": "x" * 1440},
        {"postures": 7},
        {"nonsense": 1},
        {"date": ""},
        {"date": "2027-02-30"},
        {"hours": []},
        {"hours": [{"standing-s": -1.0}] * 24},
        {"hours": [{"standing-s": float("nan")}] * 24},
        {"activity": [0.0] * 1500},
        {"bouts": "many"},
        {"alerts": [[1560, "cast"]]},
    ],
    ids=lambda wrong: str(wrong)[:40],
)
def test_invalid_day_document_raises(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  pydantic's, or ours
        StallDay.from_json({"date": "2027-01-20", **wrong})


def recorded(*dates: str) -> DayLog:
    """A log with three seconds of standing on each date."""
    log = DayLog([])
    for date in dates:
        log.today(date).add(2, {"standing-s": 3.0})
    return log


def test_days_of_a_clock_that_was_ahead_get_their_dates() -> None:
    log = recorded("2027-01-19", "2035-06-01", "2035-06-02")
    log.correct("2027-01-20")
    assert [(day.date, day.observed_s) for day in log.days] == [("2027-01-19", 6.0), ("2027-01-20", 3.0)]
    assert log.today("2027-01-21").date == "2027-01-21"


def test_day_begun_before_the_clock_was_ahead_goes_on() -> None:
    log = recorded("2027-01-20", "2035-06-01")
    log.correct("2027-01-20")
    assert [(day.date, day.observed_s) for day in log.days] == [("2027-01-20", 6.0)]


def test_clock_set_back_around_midnight_corrects_nothing() -> None:
    log = recorded("2027-01-20", "2027-01-21")
    log.correct("2027-01-20")
    assert [day.date for day in log.days] == ["2027-01-20", "2027-01-21"]


def test_day_log_keeps_two_weeks_and_ignores_a_clock_set_back() -> None:
    log = DayLog([])
    for number in range(1, 31):
        log.today(f"2027-01-{number:02}")
    assert len(log.days) == Habit.max_days + 1
    assert log.today("1970-01-01").date == "2027-01-30"


def test_rolling_counts_omit_entries_outside_the_window() -> None:
    counts = RollingCounts()
    counts.add(0, {"roll": 1})
    counts.add(600, {"roll": 1})
    assert [counts.totals(minutes, 620)["roll"] for minutes in (5, 11)] == [1, 2]


@pytest.mark.parametrize(
    ("active", "lengths_s"),
    [
        ([(0, True), (1, True), (2, False), (3, True), (10, False)], [3.0]),
        ([(0, True), (10, False)], []),
        ([(0, True), (1, True), (10, None)], [1.0]),
        ([(t, True) for t in range(60)] + [(70, False)], []),
    ],
    ids=["short break belongs to it", "too short", "unknown ends it", "too long"],
)
def test_bout_is_joined_over_short_breaks_and_counted_once(
    active: list[tuple[float, bool | None]], lengths_s: list[float]
) -> None:
    bouts = BoutDetector(Bout(min_s=1, merge_gap_s=2, max_s=20))
    assert [length for t_s, on in active if (length := bouts.update(t_s, on)) is not None] == lengths_s
