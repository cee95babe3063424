"""The days of one stall: what each hour and each minute held, kept through restarts; and what is usual at an hour.

A day is plain data, fit for JSON. Nothing is scaled up: beside every figure stands how long the horse was seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from edged.behaviour.horse.rules import OBSERVED
from edged.units import S_PER_MIN

HOURS, MINUTES = 24, 24 * 60
MAX_DAYS = 14
MIN_DAYS = 5  # before anything is usual
MIN_OBSERVED_S = 2700.0  # of an hour, for it to count
CODES = {"standing": "S", "sternal": "C", "lateral": "L", "unknown": "?"}  # one character a minute; nobody looked: " "
MIN_RELATIVE_STD = 0.25  # of the mean: a habit is never so exact


@dataclass(slots=True)
class StallDay:
    """One local date."""

    date: str  # ISO 8601
    hours: list[dict[str, float]] = field(default_factory=lambda: [{} for _ in range(HOURS)])
    postures: str = " " * MINUTES
    activity: list[float] = field(default_factory=lambda: [0.0] * MINUTES)  # seconds of movement in the minute
    heads: str = " " * MINUTES  # a above, l level, b below
    longest_min: float = 0.0  # bout of lying
    bouts: int = 0
    alerts: list[tuple[int, str]] = field(default_factory=list)  # minute of the day, kind

    def add(self, hour: int, increments: Mapping[str, float]) -> None:
        for name, amount in increments.items():
            self.hours[hour][name] = round(self.hours[hour].get(name, 0.0) + amount, 3)

    def total(self, name: str) -> float:
        return sum(hour.get(name, 0.0) for hour in self.hours)

    @property
    def observed_s(self) -> float:
        return sum(map(self.total, OBSERVED))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def mark_minute(self, minute: int, posture: str, head: str, moving: bool) -> None:
        """What the running minute shows so far: its latest posture."""
        self.postures = _put(self.postures, minute, CODES[posture])
        self.heads = _put(self.heads, minute, {"unknown": "?"}.get(head, head[0]))
        self.activity[minute] += moving


class DayLog:
    """Today, and the days before; the oldest first."""

    def __init__(self, days: list[StallDay]) -> None:
        self.days = days

    @staticmethod
    def from_json(tables: list[dict[str, Any]]) -> DayLog:
        """Raises TypeError or ValueError for what is no ledger."""
        return DayLog([StallDay(**table) for table in tables])

    def today(self, date: str) -> StallDay:
        """The day of that date; a clock set back goes on with the newest one."""
        if not self.days or date > self.days[-1].date:
            self.days = [*self.days[-MAX_DAYS:], StallDay(date)]
        return next((day for day in reversed(self.days) if day.date == date), self.days[-1])

    def z_score(self, name: str, value: float, at: datetime) -> float | None:
        """z score of an hour's value against the same hour of the days before; None until enough of them were seen."""
        before = [day.hours[at.hour] for day in self.days[:-1]]
        known = [
            hour.get(name, 0.0) for hour in before if sum(hour.get(key, 0.0) for key in OBSERVED) >= MIN_OBSERVED_S
        ]
        if len(known) < MIN_DAYS:
            return None
        mean = sum(known) / len(known)
        spread = math.sqrt(sum((one - mean) ** 2 for one in known) / (len(known) - 1))
        return (value - mean) / max(spread, MIN_RELATIVE_STD * mean, S_PER_MIN / 6)


def _put(text: str, at: int, code: str) -> str:
    return text[:at] + code + text[at + 1 :]
