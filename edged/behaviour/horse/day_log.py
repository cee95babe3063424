"""What happened in one stall: the last hours by the minute, the days by hour and minute, and what is usual at an hour.

Upstream: the stall monitor's increments, seconds under `<name>-s` and counts under the name alone. Downstream: rules,
the `daily` message, a state file. Nothing is scaled up: every figure comes with the time the horse was observed.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any

import numpy as np

from edged.behaviour.horse.thresholds import THRESHOLDS
from edged.behaviour.types import HeadHeight, Posture
from edged.frame import U8
from edged.units import S_PER_MIN

T = THRESHOLDS.habit
HOURS, MINUTES = 24, 24 * 60
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


def _not_observed() -> U8:
    return np.full(MINUTES, MinuteCode.NOT_OBSERVED, np.uint8)


@dataclass(slots=True, eq=False)
class StallDay:
    """One local date."""

    date: str  # ISO 8601
    hours: list[dict[str, float]] = field(default_factory=lambda: [{} for _ in range(HOURS)])
    postures: U8 = field(default_factory=_not_observed)  # (1440,) `MinuteCode`; the latest posture of each minute
    activity: list[float] = field(default_factory=lambda: [0.0] * MINUTES)  # seconds of movement in the minute
    heads: U8 = field(default_factory=_not_observed)  # (1440,) `MinuteCode`
    longest_min: float = 0.0  # longest time lying without rising
    bouts: int = 0  # of lying
    alerts: list[tuple[int, str]] = field(default_factory=list)  # minute of the day, kind

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
        """The inverse of `to_json`. Raises TypeError, AttributeError or ValueError for what is no day."""
        codes = {name: _decode(table[name]) for name in ("postures", "heads") if name in table}
        return StallDay(**{**table, **codes})


def _decode(text: str) -> U8:
    """(1440,) codes of a text. Raises ValueError for another length or an unknown character."""
    codes: U8 = np.frombuffer(text.encode("ascii"), np.uint8).copy()
    if len(codes) != MINUTES or not np.isin(codes, list(MinuteCode)).all():
        raise ValueError(f"{len(codes)} minutes, or characters that are no minute code")
    return codes


class DayLog:
    """Today, and the days before; the oldest first."""

    def __init__(self, days: list[StallDay]) -> None:
        self.days = days

    def today(self, date: str) -> StallDay:
        """The day of that date; after a clock was set back, the newest one goes on."""
        if not self.days or date > self.days[-1].date:
            self.days = [*self.days[-T.max_days :], StallDay(date)]
        return next((day for day in reversed(self.days) if day.date == date), self.days[-1])

    def z_score(self, name: str, value: float, at: datetime) -> float | None:
        """How unusual an hour's value is, against the same hour of the days before; None: too few were observed."""
        before = [day.hours[at.hour] for day in self.days[:-1]]
        observed = [hour for hour in before if sum(hour.get(key, 0.0) for key in OBSERVED) >= T.min_observed_s]
        known = [hour.get(name, 0.0) for hour in observed]
        if len(known) < T.min_days:
            return None
        mean = sum(known) / len(known)
        std = math.sqrt(sum((one - mean) ** 2 for one in known) / (len(known) - 1))
        return (value - mean) / max(std, T.min_relative_std * mean, T.min_std_s)


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
