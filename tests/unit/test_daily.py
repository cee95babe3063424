"""Seconds of a day add up to what was watched, and only to that."""

from __future__ import annotations

import pytest

from edged.behaviour.daily import DailyCounter, DailyTotals
from edged.behaviour.presence import CameraObservation, View
from edged.units import ns

TODAY = "2026-03-01"


def look(t_s: float, view: View = "ok", **present: int) -> CameraObservation:
    return CameraObservation(t_ns=ns(t_s), view=view, counts=present or None)


def kept(*made: CameraObservation) -> DailyTotals:
    diary = DailyCounter(DailyTotals(date=TODAY))
    for one in made:
        diary.update(one, TODAY)
    return diary.today


def test_time_goes_to_the_view_and_the_classes_that_were_there() -> None:
    day = kept(look(0, horse=1, person=0), look(1, horse=1, person=2), look(2, horse=0))
    assert day.view_s == {"ok": pytest.approx(2)}
    assert day.present_s == {"horse": pytest.approx(2), "person": pytest.approx(1)}


def test_two_horses_for_a_minute_are_one_minute_of_horse_and_two_at_most() -> None:
    day = kept(look(0, horse=2), look(1, horse=2))
    assert day.present_s["horse"] == pytest.approx(1)
    assert day.most["horse"] == 2


def test_a_gap_between_looks_is_nobodys_time() -> None:
    assert kept(look(0, horse=1), look(60, horse=1)).view_s == {}


def test_lost_time_counts_as_lost() -> None:
    assert kept(look(0, "lost"), look(1, "lost"), look(2, "ok")).view_s == {"lost": pytest.approx(2)}


def test_a_day_ends_once_and_the_next_begins_empty() -> None:
    diary = DailyCounter(DailyTotals(date=TODAY, view_s={"ok": 5.0}))
    ended = diary.update(look(0), "2026-03-02")
    assert ended == DailyTotals(date=TODAY, view_s={"ok": 5.0})
    assert diary.today == DailyTotals(date="2026-03-02")
    assert diary.update(look(1), "2026-03-02") is None


def test_a_clock_set_back_does_not_reopen_yesterday() -> None:
    diary = DailyCounter(DailyTotals(date=TODAY))
    assert diary.update(look(0), "1970-01-01") is None
    assert diary.today.date == TODAY


def looks(diary: DailyCounter, date: str, first_s: float, last_s: float, *, kept: bool = True) -> None:
    for second in range(round(first_s), round(last_s) + 1):
        diary.update(look(second), date, clock_synced=kept)


@pytest.mark.parametrize("wrong", ["1970-01-01", "2036-02-07"])
def test_a_day_counted_under_a_wrong_clock_gets_its_date_when_the_clock_is_set(wrong: str) -> None:
    diary = DailyCounter(DailyTotals(date=wrong))
    looks(diary, wrong, 0, 10, kept=False)
    assert diary.update(look(11), "2026-11-25", clock_synced=True) is None
    assert (diary.today.date, diary.today.view_s) == ("2026-11-25", {"ok": 11.0})


def test_a_box_that_boots_in_1970_does_not_redate_the_day_it_remembers() -> None:
    diary = DailyCounter(DailyTotals(date="2026-11-24", view_s={"ok": 100.0}))
    looks(diary, "1970-01-01", 0, 5, kept=False)
    ended = diary.update(look(6), "2026-11-25")
    assert ended is not None
    assert ended.date == "2026-11-24"


def test_a_box_that_was_off_for_a_week_closes_the_day_it_remembers() -> None:
    diary = DailyCounter(DailyTotals(date="2026-11-18", view_s={"ok": 100.0}))
    ended = diary.update(look(0), "2026-11-25")
    assert (ended and ended.date, diary.today.date) == ("2026-11-18", "2026-11-25")
