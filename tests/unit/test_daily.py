"""Seconds of a day add up to what was observed, and only to that."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from edged.behaviour.daily import DailyCounter, DailyTotals, parse_totals
from edged.behaviour.types import CameraObservation, View
from edged.units import ns

TODAY = "2026-03-01"


def observation(t_s: float, view: View = "ok", **counts: int) -> CameraObservation:
    return CameraObservation(t_ns=ns(t_s), view=view, counts=counts or None)


def totals(*observations: CameraObservation) -> DailyTotals:
    counter = DailyCounter(DailyTotals(date=TODAY))
    for one in observations:
        counter.update(one, TODAY)
    return counter.today


@pytest.mark.parametrize(
    "wrong",
    [
        {"date": ""},
        {"date": "2027-2-3"},
        {"date": TODAY, "view_s": {"ok": "long"}},
        {"date": TODAY, "view_s": {"ok": -5}},
        {"date": TODAY, "present_s": {"horse": float("nan")}},
        {"date": TODAY, "max_count": {"horse": 1.5}},
        3,
    ],
    ids=str,
)
def test_day_of_a_state_file_that_is_none_raises_value_error(wrong: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  pydantic's
        parse_totals({"stall": wrong})


def test_time_is_added_to_the_view_and_to_the_classes_present() -> None:
    day = totals(observation(0, horse=1, person=0), observation(1, horse=1, person=2), observation(2, horse=0))
    assert day.view_s == {"ok": pytest.approx(2)}
    assert day.present_s == {"horse": pytest.approx(2), "person": pytest.approx(1)}


def test_two_subjects_at_once_add_their_time_once_and_raise_the_maximum() -> None:
    day = totals(observation(0, horse=2), observation(1, horse=2))
    assert day.present_s["horse"] == pytest.approx(1)
    assert day.max_count["horse"] == 2


def test_gap_between_observations_adds_nothing() -> None:
    assert totals(observation(0, horse=1), observation(60, horse=1)).view_s == {}


def test_lost_time_is_added_as_lost() -> None:
    assert totals(observation(0, "lost"), observation(1, "lost"), observation(2, "ok")).view_s == {
        "lost": pytest.approx(2)
    }


def test_new_date_ends_the_day_once_and_begins_an_empty_one() -> None:
    counter = DailyCounter(DailyTotals(date=TODAY, view_s={"ok": 5.0}))
    assert counter.update(observation(0), "2026-03-02") == DailyTotals(date=TODAY, view_s={"ok": 5.0})
    assert counter.today == DailyTotals(date="2026-03-02", closed=[TODAY])
    assert counter.update(observation(1), "2026-03-02") is None


def test_clock_set_back_does_not_reopen_yesterday() -> None:
    counter = DailyCounter(DailyTotals(date=TODAY))
    assert counter.update(observation(0), "1970-01-01") is None
    assert counter.today.date == TODAY


def observe_seconds(counter: DailyCounter, date: str, first: int, last: int) -> None:
    for second in range(first, last + 1):
        counter.update(observation(second), date, clock_synced=False)


@pytest.mark.parametrize("wrong", ["1970-01-01", "2036-02-07"])
def test_day_counted_under_a_wrong_clock_gets_its_date_when_the_clock_is_set(wrong: str) -> None:
    counter = DailyCounter(DailyTotals(date=wrong))
    observe_seconds(counter, wrong, 0, 10)
    assert counter.update(observation(11), "2026-11-25", clock_synced=True) is None
    assert (counter.today.date, counter.today.view_s) == ("2026-11-25", {"ok": 11.0})


def test_device_that_boots_in_1970_keeps_the_date_of_the_saved_day() -> None:
    counter = DailyCounter(DailyTotals(date="2026-11-24", view_s={"ok": 100.0}))
    observe_seconds(counter, "1970-01-01", 0, 5)
    ended = counter.update(observation(6), "2026-11-25")
    assert ended is not None
    assert ended.date == "2026-11-24"


def test_device_that_was_off_for_a_week_ends_the_saved_day() -> None:
    counter = DailyCounter(DailyTotals(date="2026-11-18", view_s={"ok": 100.0}))
    ended = counter.update(observation(0), "2026-11-25")
    assert (ended and ended.date, counter.today.date) == ("2026-11-18", "2026-11-25")


def ends(counter: DailyCounter, *dates: str) -> list[str]:
    """What ends while a synchronised clock has these dates, for two seconds each."""
    ended = [
        counter.update(observation(2 * i + j), date, clock_synced=True) for i, date in enumerate(dates) for j in (0, 1)
    ]
    return [day.date for day in ended if day is not None]


@pytest.mark.parametrize(
    "dates",
    [
        ("2026-03-06", TODAY, "2026-03-02", "2026-03-03"),  # it began with a clock that was ahead
        (TODAY, "2026-03-02", "2026-02-20", "2026-02-21", "2026-03-02", "2026-03-03"),
        (TODAY, "2026-03-02", "2026-03-03", TODAY, "2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05"),
    ],
)
def test_no_date_ends_twice_whatever_the_clock_does(dates: tuple[str, ...]) -> None:
    counter = DailyCounter(DailyTotals(date=TODAY, view_s={"ok": 100.0}))
    ended = ends(counter, *dates)
    assert TODAY in ended
    assert len(ended) == len(set(ended))
    counter = DailyCounter(parse_totals({"stall": asdict(counter.today)})["stall"])  # after a restart
    again = ends(counter, TODAY, "2026-03-02", "2026-03-03", "2026-03-09", "2026-03-10")
    assert set(again).isdisjoint(ended)


def test_what_is_counted_of_a_date_that_has_ended_goes_to_the_next_one_once() -> None:
    counter = DailyCounter(DailyTotals(date=TODAY, view_s={"ok": 100.0}))
    days = [
        counter.update(observation(t), date, clock_synced=True) for t, date in enumerate(["2026-03-09", TODAY, TODAY])
    ]
    assert (days[0] and days[0].view_s, days[1:]) == ({"ok": 100.0}, [None, None])
    assert (counter.today.date, counter.today.view_s) == ("2026-03-02", {"ok": 2.0})


def test_remembered_dates_are_bounded() -> None:
    day = DailyTotals(date=TODAY)
    for number in range(100):
        day = day.next_day(f"{2100 + number}-01-01")
    assert (len(day.closed), day.closed[-1]) == (64, "2198-01-01")
