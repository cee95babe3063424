"""One day of one camera in seconds: how long each view lasted, and how long subjects of each class were present.

Upstream: observations, twice a second. Downstream: the `daily` message, and a file that survives restarts. Pure.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from edged.behaviour.local_day import ONE_DAY, Amount, IsoDate
from edged.behaviour.types import CameraObservation, View
from edged.units import NS_PER_S, ns

Count = Annotated[int, Field(ge=0)]  # in a state file

MAX_GAP_NS = ns(2)  # between two observations; after a longer gap nothing is added
MAX_CLOSED = 64  # dates that are remembered: more than any clock goes back and forth


@dataclass(slots=True, kw_only=True)
class DailyTotals:
    """Seconds of one local date, so far."""

    date: IsoDate  # local
    view_s: dict[str, Amount] = field(default_factory=dict)  # by view: ok, degraded, lost, unknown
    present_s: dict[str, Amount] = field(default_factory=dict)  # by class: with at least one subject
    max_count: dict[str, Count] = field(default_factory=dict)  # by class: most subjects at one time
    closed: list[IsoDate] = field(default_factory=list)  # dates of this camera that have ended, the latest last

    def next_day(self, date: str) -> DailyTotals:
        """An empty day after this one, which has ended. It has this date, or the first after it that has not ended."""
        after = DailyTotals(date=date, closed=[*self.closed, self.date][-MAX_CLOSED:])
        after.move_to(date)
        return after

    def move_to(self, date: str) -> None:
        """Give this day that date, or the first after it that has not ended: what was closed stays as it was told."""
        while date in self.closed:
            date = (datetime.date.fromisoformat(date) + ONE_DAY).isoformat()
        self.date = date

    def add(self, view: View, counts: Mapping[str, int] | None, seconds: float) -> None:
        self.view_s[view] = self.view_s.get(view, 0.0) + seconds
        for label, count in (counts or {}).items():
            if count:
                self.present_s[label] = self.present_s.get(label, 0.0) + seconds
            self.max_count[label] = max(self.max_count.get(label, 0), count)


_DAYS = TypeAdapter(dict[str, DailyTotals])


def parse_totals(tables: Any) -> dict[str, DailyTotals]:
    """The days of a state file, by camera. Raises ValueError for what is none."""
    return _DAYS.validate_python(tables)


class DailyCounter:
    """The running day of one camera."""

    def __init__(self, today: DailyTotals) -> None:
        self.today = today
        self._previous: CameraObservation | None = None

    def update(self, observation: CameraObservation, date: str, *, clock_synced: bool = False) -> DailyTotals | None:
        """Take in an observation; the day that has just ended, or None.

        A clock set back by hours does not reopen a day. One set by days was wrong before: the running day gets its
        right date, once the clock is kept by something (`clock_synced`), and nothing that was counted is lost. No date
        ends twice: what is counted of one that has ended goes to the next.
        """
        ended = None
        before, self._previous = self._previous, observation
        days = (datetime.date.fromisoformat(date) - datetime.date.fromisoformat(self.today.date)).days
        if (days > 1 and before is not None) or (days < -1 and clock_synced):
            self.today.move_to(date)
        elif days > 0:
            ended, self.today = self.today, self.today.next_day(date)
        if before is not None and 0 < (passed_ns := observation.t_ns - before.t_ns) <= MAX_GAP_NS:
            self.today.add(before.view, before.counts, passed_ns / NS_PER_S)
        return ended
