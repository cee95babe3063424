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

from edged.behaviour.horse.aisle import AisleMonitor, GaitDay, parse_gait_days
from edged.behaviour.horse.day_log import DayLog, StallDay
from edged.behaviour.horse.rules import Finding
from edged.behaviour.horse.stall_monitor import StallMonitor, StallState
from edged.config.tables.stall import StallConfig
from edged.frame import Frame, FrameResult
from edged.runtime.json_state import JsonState
from edged.units import NS_PER_S

GAIT_FILE = "gaits.json"
MAX_QUEUED = 256  # results of one camera, at most: half a second of them, many times over
TICK_PERIOD_S = 0.9
PAST_FILE, TODAY_FILE, WHAT = "stalls.json", "stalls-today.json", "the stalls' days"  # the first is written once a day


class StallMonitors:
    """`stalls` by camera; `state` is the directory of what survives a restart.

    `sink` is the compute thread's; everything else belongs to one other.
    """

    def __init__(
        self,
        stalls: Mapping[str, StallConfig],
        keypoint_threshold: float,
        state_dir: Path,
        aisles: Iterable[str] = (),
        set_idle_rate: Callable[[str, float | None], None] = lambda camera, hz: None,
    ) -> None:
        """`set_idle_rate` is told how many frames a second of a camera are enough now; None: all."""
        self._set_idle_rate = set_idle_rate
        self._idle_rates_hz: dict[str, float] = {}
        self._keypoint_threshold = keypoint_threshold
        self._past_file, self._today_file = (
            JsonState(state_dir / PAST_FILE, WHAT),
            JsonState(state_dir / TODAY_FILE, WHAT),
        )
        self._written_dates: dict[str, list[str]] = {}  # dates of the days before
        self._queues: dict[str, deque[FrameResult]] = {}
        self._monitors: dict[str, StallMonitor] = {}
        self._last_tick_s: dict[str, float] = {}
        self._saved_days = load_days(state_dir)
        self._gait_file = JsonState(state_dir / GAIT_FILE, "the aisles' days")
        nothing: dict[str, GaitDay] = {}
        self._saved_gait = self._gait_file.read(parse_gait_days, nothing)
        self._aisles: dict[str, AisleMonitor] = {}
        self.reconfigure(stalls, aisles)

    def reconfigure(self, stalls: Mapping[str, StallConfig], aisles: Iterable[str] = ()) -> None:
        """From now on these; a stall that is told otherwise begins anew, with the days it had."""
        ledgers = {name: watch.day_log for name, watch in self._monitors.items()}
        same = {name: watch for name, watch in self._monitors.items() if stalls.get(name) == watch.stall}
        self._monitors = {
            name: same.get(name)
            or StallMonitor(
                stall, self._keypoint_threshold, ledgers.get(name) or DayLog(self._saved_days.get(name, []))
            )
            for name, stall in stalls.items()
        }
        self._aisles = {name: self._aisles.get(name) or self._new_aisle(name) for name in aisles}
        for name in self._idle_rates_hz.keys() - self._monitors.keys():
            self._update_idle_rate(name, None)
        cameras = {*self._monitors, *self._aisles}
        self._queues = {name: self._queues.get(name, deque(maxlen=MAX_QUEUED)) for name in cameras}

    def sink(self, frame: Frame, result: FrameResult) -> None:
        """A result, on the compute thread."""
        if (waiting := self._queues.get(result.camera)) is not None:
            waiting.append(result)

    def poll(self, now_ns: int, local: datetime) -> None:
        """Through everything that came since."""
        now_s = now_ns / NS_PER_S
        for name, waiting in self._queues.items():
            watches = [one for one in (self._monitors.get(name), self._aisles.get(name)) if one is not None]
            while waiting:
                result = waiting.popleft()
                for watch in watches:
                    watch.process(result)
            if now_s - self._last_tick_s.get(name, 0.0) >= TICK_PERIOD_S:
                self._last_tick_s[name] = now_s
                for watch in watches:
                    watch.tick(now_s, local)
                if stall := self._monitors.get(name):
                    self._update_idle_rate(name, None if name in self._aisles else stall.idle_rate_hz(now_s))

    def _update_idle_rate(self, name: str, hz: float | None) -> None:
        if hz == self._idle_rates_hz.get(name):
            return
        self._set_idle_rate(name, hz)
        if hz is None:
            del self._idle_rates_hz[name]
        else:
            self._idle_rates_hz[name] = hz

    def state(self, camera: str) -> StallState | None:
        watch = self._monitors.get(camera)
        return watch.state if watch is not None else None

    def findings(self, camera: str) -> Mapping[str, Finding]:
        watch = self._monitors.get(camera)
        return watch.findings if watch is not None else {}

    def days(self, camera: str) -> list[StallDay]:
        """Of a stall, the oldest first; none of another camera. Any thread."""
        watch = self._monitors.get(camera)
        return [] if watch is None else list(watch.day_log.days)

    def day(self, camera: str, date: str) -> StallDay | None:
        return next((day for day in self.days(camera) if day.date == date), None)

    def gait(self, camera: str, date: str) -> GaitDay | None:
        """What walked along an aisle on a date; an empty day when nobody did."""
        watch = self._aisles.get(camera)
        if watch is None:
            return None
        return watch.day if watch.day is not None and watch.day.date == date else GaitDay(date)

    def _new_aisle(self, name: str) -> AisleMonitor:
        return AisleMonitor(self._keypoint_threshold, self._saved_gait.get(name), self._save_gait)

    def _save_gait(self) -> None:
        self._gait_file.write(
            {name: asdict(watch.day) for name, watch in self._aisles.items() if watch.day is not None}
        )

    def save(self) -> None:
        """What was counted so far."""
        if not self._monitors:
            return
        days = {name: watch.day_log.days for name, watch in self._monitors.items()}
        before = {name: [day.date for day in kept[:-1]] for name, kept in days.items()}
        if before != self._written_dates:
            self._past_file.write({name: [day.to_json() for day in kept[:-1]] for name, kept in days.items()})
            self._written_dates = before
        self._today_file.write({name: [day.to_json() for day in kept[-1:]] for name, kept in days.items()})


def load_days(state_dir: Path) -> dict[str, list[StallDay]]:
    """The days kept in a state directory, by camera; the oldest first."""
    nothing: dict[str, list[StallDay]] = {}
    before, today = (JsonState(state_dir / file, WHAT).read(_parse_days, nothing) for file in (PAST_FILE, TODAY_FILE))
    return {name: _merge_days(before.get(name, []), today.get(name, [])) for name in {**before, **today}}


def _merge_days(past: list[StallDay], today: list[StallDay]) -> list[StallDay]:
    """A power cut between the two files leaves a day in both, or in neither for a minute."""
    dates = {day.date for day in today}
    return sorted([day for day in past if day.date not in dates] + today, key=lambda day: day.date)


def _parse_days(tables: dict[str, list[dict[str, Any]]]) -> dict[str, list[StallDay]]:
    return {name: DayLog.from_json(days).days for name, days in tables.items()}
