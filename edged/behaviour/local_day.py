"""Local days by the rules of the zone: where they begin, how long they are, and which instant a wall clock means.

A day has mostly 23 or 25 hours when the clock changes, so wall clocks are no measure of length. Pure, but for the zone.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from typing import Annotated

from pydantic import AfterValidator, Field

from edged.units import S_PER_MIN

ONE_DAY = timedelta(days=1)


def _check_date(text: str) -> str:
    if date.fromisoformat(text).isoformat() != text:
        raise ValueError("want a date, as 2027-03-28")
    return text


IsoDate = Annotated[str, AfterValidator(_check_date)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]  # in a state file


def instant(day: date, clock: time) -> datetime:
    """That wall clock in this machine's zone.

    Of a clock that comes twice the first, of one that is skipped the one as long after the jump: `timestamp` knows
    that, while `astimezone` alone gives an instant before the jump.
    """
    return datetime.fromtimestamp(datetime.combine(day, clock).timestamp(), timezone.utc).astimezone()


def minute_of_day(local: datetime) -> int:
    """Whole minutes since the local day began, mostly 0 to 1439."""
    return int((local - instant(local.date(), time())).total_seconds() // S_PER_MIN)


def clock_minute(day: str, hour: int) -> int:
    """The minute of a local date, counted from its begin, at which its wall clock shows that full hour."""
    return minute_of_day(instant(date.fromisoformat(day), time(hour)))


def wall_clock(day: str, minute: int) -> str:
    """What the wall clock shows so many minutes after a local date began: `16:25`."""
    begin = instant(date.fromisoformat(day), time())
    return f"{datetime.fromtimestamp(begin.timestamp() + minute * S_PER_MIN).astimezone():%H:%M}"


def day_minutes(day: str) -> int:
    """The length of a local date: 1440, and mostly 1380 or 1500 when the clock changes."""
    begin = date.fromisoformat(day)
    return int((instant(begin + ONE_DAY, time()) - instant(begin, time())).total_seconds() // S_PER_MIN)
