"""All stalls of a box: results come in from the compute thread, and are looked through by the thread that watches.

Upstream: the loop, as a sink. Downstream: the watching of all cameras, twice a second. The days survive restarts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from edged.barn.aisle import AisleWatch, GaitDay, days_of
from edged.barn.ledger import Ledger, StallDay
from edged.barn.rules import Finding
from edged.barn.settings import Stall
from edged.barn.watch import StallNow, StallWatch
from edged.frame import Frame, Result
from edged.memory import Memory
from edged.units import NS_PER_S

GAITS = "gaits.json"
WAITING = 256  # results of one camera, at most: half a second of them, many times over
TICK_S = 0.9
BEFORE, TODAY, WHAT = "stalls.json", "stalls-today.json", "the stalls' days"  # the first is written once a day


class Stable:
    """`stalls` by camera; `state` is the directory of what survives a restart.

    `sink` is the compute thread's; everything else belongs to one other.
    """

    def __init__(
        self,
        stalls: Mapping[str, Stall],
        sure: float,
        state: Path,
        aisles: Iterable[str] = (),
        rest: Callable[[str, float | None], None] = lambda camera, hz: None,
    ) -> None:
        """`rest` is told how many frames a second of a camera are enough now; None: all."""
        self._rest = rest
        self._resting: dict[str, float] = {}
        self._sure = sure
        self._before, self._today = Memory(state / BEFORE, WHAT), Memory(state / TODAY, WHAT)
        self._written: dict[str, list[str]] = {}  # dates of the days before
        self._waiting: dict[str, deque[Result]] = {}
        self._watches: dict[str, StallWatch] = {}
        self._ticked_s: dict[str, float] = {}
        self._kept = remembered(state)
        self._gaits = Memory(state / GAITS, "the aisles' days")
        nothing: dict[str, GaitDay] = {}
        self._walked = self._gaits.read(days_of, nothing)
        self._aisles: dict[str, AisleWatch] = {}
        self.adopt(stalls, aisles)

    def adopt(self, stalls: Mapping[str, Stall], aisles: Iterable[str] = ()) -> None:
        """From now on these; a stall that is told otherwise begins anew, with the days it had."""
        ledgers = {name: watch.ledger for name, watch in self._watches.items()}
        same = {name: watch for name, watch in self._watches.items() if stalls.get(name) == watch.stall}
        self._watches = {
            name: same.get(name) or StallWatch(stall, self._sure, ledgers.get(name) or Ledger(self._kept.get(name, [])))
            for name, stall in stalls.items()
        }
        self._aisles = {name: self._aisles.get(name) or self._aisle(name) for name in aisles}
        for name in self._resting.keys() - self._watches.keys():
            self._paced(name, None)
        cameras = {*self._watches, *self._aisles}
        self._waiting = {name: self._waiting.get(name, deque(maxlen=WAITING)) for name in cameras}

    def sink(self, frame: Frame, result: Result) -> None:
        """A result, on the compute thread."""
        if (waiting := self._waiting.get(result.camera)) is not None:
            waiting.append(result)

    def look(self, now_ns: int, local: datetime) -> None:
        """Through everything that came since."""
        now_s = now_ns / NS_PER_S
        for name, waiting in self._waiting.items():
            watches = [one for one in (self._watches.get(name), self._aisles.get(name)) if one is not None]
            while waiting:
                result = waiting.popleft()
                for watch in watches:
                    watch.see(result)
            if now_s - self._ticked_s.get(name, 0.0) >= TICK_S:
                self._ticked_s[name] = now_s
                for watch in watches:
                    watch.tick(now_s, local)
                if stall := self._watches.get(name):
                    self._paced(name, None if name in self._aisles else stall.rest_hz(now_s))

    def _paced(self, name: str, hz: float | None) -> None:
        if hz == self._resting.get(name):
            return
        self._rest(name, hz)
        if hz is None:
            del self._resting[name]
        else:
            self._resting[name] = hz

    def now(self, camera: str) -> StallNow | None:
        watch = self._watches.get(camera)
        return watch.now if watch is not None else None

    def findings(self, camera: str) -> Mapping[str, Finding]:
        watch = self._watches.get(camera)
        return watch.findings if watch is not None else {}

    def days(self, camera: str) -> list[StallDay]:
        """Of a stall, the oldest first; none of another camera. Any thread."""
        watch = self._watches.get(camera)
        return [] if watch is None else list(watch.ledger.days)

    def day(self, camera: str, date: str) -> StallDay | None:
        return next((day for day in self.days(camera) if day.date == date), None)

    def gait(self, camera: str, date: str) -> GaitDay | None:
        """What walked along an aisle on a date; an empty day when nobody did."""
        watch = self._aisles.get(camera)
        if watch is None:
            return None
        return watch.day if watch.day is not None and watch.day.date == date else GaitDay(date)

    def _aisle(self, name: str) -> AisleWatch:
        return AisleWatch(self._sure, self._walked.get(name), self._keep_gaits)

    def _keep_gaits(self) -> None:
        self._gaits.write({name: asdict(watch.day) for name, watch in self._aisles.items() if watch.day is not None})

    def save(self) -> None:
        """What was counted so far."""
        if not self._watches:
            return
        days = {name: watch.ledger.days for name, watch in self._watches.items()}
        before = {name: [day.date for day in kept[:-1]] for name, kept in days.items()}
        if before != self._written:
            self._before.write({name: [day.table() for day in kept[:-1]] for name, kept in days.items()})
            self._written = before
        self._today.write({name: [day.table() for day in kept[-1:]] for name, kept in days.items()})


def remembered(state: Path) -> dict[str, list[StallDay]]:
    """The days kept in a state directory, by camera; the oldest first."""
    nothing: dict[str, list[StallDay]] = {}
    before, today = (Memory(state / file, WHAT).read(_ledgers, nothing) for file in (BEFORE, TODAY))
    return {name: _joined(before.get(name, []), today.get(name, [])) for name in {**before, **today}}


def _joined(before: list[StallDay], today: list[StallDay]) -> list[StallDay]:
    """A power cut between the two files leaves a day in both, or in neither for a minute."""
    dates = {day.date for day in today}
    return sorted([day for day in before if day.date not in dates] + today, key=lambda day: day.date)


def _ledgers(tables: dict[str, list[dict[str, Any]]]) -> dict[str, list[StallDay]]:
    return {name: Ledger.read(days).days for name, days in tables.items()}
