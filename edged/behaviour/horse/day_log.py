"""What happened in one stall: the last hours by the minute, the days by hour and minute, and what is usual at an hour.

Upstream: the stall monitor's increments, seconds under `<name>-s` and counts under the name alone. Downstream: rules,
the `daily` message, a state file. Nothing is scaled up: every figure comes with the time the horse was observed.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import IntEnum
from typing import Annotated, Any

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import NotRequired, TypedDict

from edged.behaviour.horse.thresholds import Habit as T
from edged.behaviour.local_day import ONE_DAY, Amount, IsoDate, day_minutes
from edged.behaviour.types import HeadHeight, Posture
from edged.frame import U8
from edged.units import S_PER_MIN

HOURS, MINUTES = 24, 24 * 60  # of most days
DAY_MINUTES = (MINUTES - 120, MINUTES + 120)  # of the shortest and the longest: one zone changes by two hours
MAX_HOUR_S = 3660.0  # an hour with more was there twice
MAX_MINUTES = 26 * 60  # of rolling counts
OBSERVED = ("standing-s", "sternal-s", "lateral-s")  # seconds in which the posture was known


class MinuteCode(IntEnum):
    """One minute of a day's postures or head heights. The value is the character that state files hold."""

    NOT_OBSERVED = ord(" ")
    UNKNOWN = ord("?")
    STANDING = ord("S")
    STERNAL = ord("C")
    LATERAL = ord("L")
    HEAD_ABOVE = ord("a")
    HEAD_LEVEL = ord("l")
    HEAD_BELOW = ord("b")


_POSTURE_CODES: Mapping[Posture, MinuteCode] = {
    "standing": MinuteCode.STANDING,
    "sternal": MinuteCode.STERNAL,
    "lateral": MinuteCode.LATERAL,
    "unknown": MinuteCode.UNKNOWN,
}
_HEAD_CODES: Mapping[HeadHeight, MinuteCode] = {
    "above": MinuteCode.HEAD_ABOVE,
    "level": MinuteCode.HEAD_LEVEL,
    "below": MinuteCode.HEAD_BELOW,
    "unknown": MinuteCode.UNKNOWN,
}


def _not_observed(minutes: int = MINUTES) -> U8:
    return np.full(minutes, MinuteCode.NOT_OBSERVED, np.uint8)


@with_config(ConfigDict(extra="forbid"))
class DayDocument(TypedDict):
    """A day as state files have it; `StallDay` has the meaning of its fields."""

    date: IsoDate
    hours: NotRequired[Annotated[list[dict[str, Amount]], Field(min_length=HOURS, max_length=HOURS)]]
    postures: NotRequired[str]
    activity: NotRequired[list[Amount]]
    heads: NotRequired[str]
    longest_min: NotRequired[Amount]
    bouts: NotRequired[Annotated[int, Field(ge=0)]]
    alerts: NotRequired[list[tuple[Annotated[int, Field(ge=0, lt=DAY_MINUTES[1])], str]]]


_DOCUMENT = TypeAdapter(DayDocument)


@dataclass(slots=True, eq=False)
class StallDay:
    """One local date. Its minutes are counted from its begin: there are mostly 1380 or 1500 when the clock changes."""

    date: str  # ISO 8601
    hours: list[dict[str, float]] = field(default_factory=lambda: [{} for _ in range(HOURS)])
    postures: U8 = field(default_factory=_not_observed)  # (minutes,) `MinuteCode`; the latest posture of each
    activity: list[float] = field(default_factory=lambda: [0.0] * MINUTES)  # seconds of movement in the minute
    heads: U8 = field(default_factory=_not_observed)  # (minutes,) `MinuteCode`
    longest_min: float = 0.0  # longest time lying without rising
    bouts: int = 0  # of lying
    alerts: list[tuple[int, str]] = field(default_factory=list)  # minute of the day, kind

    @staticmethod
    def of(date: str) -> StallDay:
        """That date with nothing in it, as long as it is in this machine's zone."""
        minutes = day_minutes(date)
        return StallDay(date, postures=_not_observed(minutes), activity=[0.0] * minutes, heads=_not_observed(minutes))

    def add(self, hour: int, increments: Mapping[str, float]) -> None:
        for name, amount in increments.items():
            self.hours[hour][name] = round(self.hours[hour].get(name, 0.0) + amount, 3)

    def total(self, name: str) -> float:
        return sum(hour.get(name, 0.0) for hour in self.hours)

    @property
    def observed_s(self) -> float:
        return sum(map(self.total, OBSERVED))

    def mark_minute(self, minute: int, posture: Posture, head: HeadHeight, *, active: bool) -> None:
        """Set what the running minute shows so far; called about once a second."""
        minute = min(minute, len(self.postures) - 1)  # the zone has changed since the day began
        self.postures[minute] = _POSTURE_CODES[posture]
        self.heads[minute] = _HEAD_CODES[head]
        if active:
            self.activity[minute] += 1

    def to_json(self) -> dict[str, Any]:
        """As state files and `edged barn report --json` hold it: a minute code is one character of a text."""
        return {
            "date": self.date,
            "hours": self.hours,
            "postures": self.postures.tobytes().decode("ascii"),
            "activity": self.activity,
            "heads": self.heads.tobytes().decode("ascii"),
            "longest_min": self.longest_min,
            "bouts": self.bouts,
            "alerts": self.alerts,
        }

    @staticmethod
    def from_json(table: Mapping[str, Any]) -> StallDay:
        """The inverse of `to_json`. Raises ValueError for what is no day."""
        document = _DOCUMENT.validate_python(table)
        codes = {name: _decode(str(text)) for name, text in document.items() if name in ("postures", "heads")}
        day = StallDay(**{**document, **codes})  # type: ignore[arg-type]  # the document's fields, but for the codes
        if not len(day.postures) == len(day.heads) == len(day.activity):
            raise ValueError(f"{day.date}: {len(day.postures)}, {len(day.heads)} and {len(day.activity)} minutes")
        return day

    def absorb(self, other: StallDay) -> None:
        """Add what was recorded of this day under a wrong date; its times of day are as wrong as its clock was."""
        for hour, increments in enumerate(other.hours):
            self.add(hour, increments)
        self.longest_min = max(self.longest_min, other.longest_min)
        self.bouts += other.bouts
        self.alerts = sorted([*self.alerts, *other.alerts])


def _decode(text: str) -> U8:
    """(minutes,) codes of a text. Raises ValueError for a wrong length or an unknown character."""
    codes: U8 = np.frombuffer(text.encode("ascii"), np.uint8).copy()
    if not DAY_MINUTES[0] <= len(codes) <= DAY_MINUTES[1] or not np.isin(codes, list(MinuteCode)).all():
        raise ValueError(f"{len(codes)} minutes, or characters that are no minute code")
    return codes


class DayLog:
    """Today, and the days before; the oldest first."""

    def __init__(self, days: list[StallDay]) -> None:
        self.days = days

    def today(self, date: str) -> StallDay:
        """The day of that date; after a clock was set back, the newest one goes on."""
        if not self.days or date > self.days[-1].date:
            self.days = [*self.days[-T.max_days :], StallDay.of(date)]
        return next((day for day in reversed(self.days) if day.date == date), self.days[-1])

    def correct(self, today: str) -> None:
        """Give days of a clock that was ahead their dates, the newest that of today. Called once the clock is right.

        One day ahead is a clock that was set back around midnight: nothing is wrong then.
        """
        if not self.days or (ahead := _date(self.days[-1].date) - _date(today)) <= ONE_DAY:
            return
        right = {day.date: day for day in self.days if day.date <= today}
        for day in (day for day in self.days if day.date > today):
            day.date = (_date(day.date) - ahead).isoformat()
            if day.date in right:
                right[day.date].absorb(day)
            else:
                right[day.date] = day
        self.days = [right[date] for date in sorted(right)]

    def z_score(self, name: str, value: float, at: datetime) -> float | None:
        """How unusual an hour's value is, against the same hour of the days before; None: too few were observed."""
        before = [day.hours[at.hour] for day in self.days[:-1]]
        seconds = [sum(hour.get(key, 0.0) for key in OBSERVED) for hour in before]
        observed = [hour for hour, s in zip(before, seconds, strict=True) if T.min_observed_s <= s <= MAX_HOUR_S]
        known = [hour.get(name, 0.0) for hour in observed]
        if len(known) < T.min_days:
            return None
        mean = sum(known) / len(known)
        std = math.sqrt(sum((one - mean) ** 2 for one in known) / (len(known) - 1))
        return (value - mean) / max(std, T.min_relative_std * mean, T.min_std_s)


def _date(text: str) -> date:
    return date.fromisoformat(text)


class RollingCounts:
    """The increments of the last hours, by the minute. Times are CLOCK_MONOTONIC: setting the clock changes nothing."""

    def __init__(self) -> None:
        self._minutes: deque[tuple[int, defaultdict[str, float]]] = deque(maxlen=MAX_MINUTES)
        self._complete_sums: dict[float, tuple[int, Counter[str]]] = {}  # by window: sums without the running minute

    def add(self, now_s: float, increments: Mapping[str, float]) -> None:
        minute = int(now_s // S_PER_MIN)
        if not self._minutes or self._minutes[-1][0] != minute:
            self._minutes.append((minute, defaultdict(float)))
        _add(self._minutes[-1][1], increments)

    def totals(self, minutes: float, now_s: float) -> Counter[str]:
        """Sums over the last minutes, the running one included. The values are floats."""
        running = int(now_s // S_PER_MIN)
        minute, complete = self._complete_sums.get(minutes, (-1, Counter()))
        if minute != running:
            complete = self._sum(running - minutes, running)
            self._complete_sums[minutes] = running, complete
        total = complete.copy()
        if self._minutes and self._minutes[-1][0] == running:
            _add(total, self._minutes[-1][1])
        return total

    def _sum(self, after: float, before: int) -> Counter[str]:
        total: Counter[str] = Counter()
        for minute, increments in reversed(self._minutes):
            if minute <= after:
                break
            if minute < before:
                _add(total, increments)
        return total


def _add(total: dict[str, Any], increments: Mapping[str, float]) -> None:
    for name, amount in increments.items():
        total[name] += amount
