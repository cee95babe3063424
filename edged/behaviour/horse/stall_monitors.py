"""All stalls and aisles of a device, and their state files.

Upstream: the loop, as a sink. Downstream: `SceneMonitor`, twice a second. The days survive restarts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from edged.behaviour.horse import horse_memory
from edged.behaviour.horse.day_log import DayLog, StallDay
from edged.behaviour.horse.gait import AisleMonitor, GaitDay, parse_gait_days
from edged.behaviour.horse.horse_memory import StallMemory
from edged.behaviour.horse.stall_monitor import StallMonitor
from edged.behaviour.types import Finding, StallState
from edged.config.tables.stall import StallConfig
from edged.frame import Frame, FrameResult
from edged.runtime.json_state import JsonState
from edged.units import NS_PER_S

MAX_QUEUED = 256  # results of one camera; a poll every half second leaves far fewer
TICK_PERIOD_S = 0.9  # between two ticks of a stall's monitor: every second poll
PAST_FILE, TODAY_FILE, CONTENT = "stalls.json", "stalls-today.json", "the stalls' days"  # PAST_FILE: once a day
HORSES_FILE, HORSES_CONTENT = "horses.json", "what is known of the stalls' horses"
GAIT_FILE, GAIT_CONTENT = "gaits.json", "the aisles' days"


class StallMonitors:
    """`sink` belongs to the compute thread, `days` to any, everything else to the behaviour thread."""

    def __init__(
        self,
        stalls: Mapping[str, StallConfig],
        keypoint_threshold: float,
        state_dir: Path,
        aisles: Iterable[str] = (),
        set_idle_rate: Callable[[str, float | None], None] = lambda camera, hz: None,
    ) -> None:
        """`set_idle_rate(camera, hz)` is called when another frame rate is enough; None: every frame."""
        self._set_idle_rate = set_idle_rate
        self._idle_rates_hz: dict[str, float] = {}
        self._keypoint_threshold = keypoint_threshold
        self._past_file = JsonState(state_dir / PAST_FILE, CONTENT)
        self._today_file = JsonState(state_dir / TODAY_FILE, CONTENT)
        self._gait_file = JsonState(state_dir / GAIT_FILE, GAIT_CONTENT)
        self._horses_file = JsonState(state_dir / HORSES_FILE, HORSES_CONTENT)
        self._written_dates: dict[str, list[str]] = {}  # of PAST_FILE
        self._saved_days = load_days(state_dir)
        no_horses: dict[str, StallMemory] = {}
        self._saved_horses = self._horses_file.read(horse_memory.parse, no_horses)
        no_gait: dict[str, GaitDay] = {}
        self._saved_gait = self._gait_file.read(parse_gait_days, no_gait)
        self._queues: dict[str, deque[FrameResult]] = {}
        self._monitors: dict[str, StallMonitor] = {}
        self._aisles: dict[str, AisleMonitor] = {}
        self._last_tick_s: dict[str, float] = {}
        self.reconfigure(stalls, aisles)

    def reconfigure(self, stalls: Mapping[str, StallConfig], aisles: Iterable[str] = ()) -> None:
        """Monitor these from now on. A stall whose configuration has changed starts anew, with the days it had."""
        self._saved_days |= {name: list(monitor.day_log.days) for name, monitor in self._monitors.items()}
        self._saved_horses |= self._known_horses()
        self._monitors = {name: self._monitor(name, stall) for name, stall in stalls.items()}
        self._aisles = {name: self._aisles.get(name) or self._new_aisle(name) for name in aisles}
        for name in self._idle_rates_hz.keys() - self._monitors.keys():
            self._update_idle_rate(name, None)
        cameras = {*self._monitors, *self._aisles}
        self._queues = {name: self._queues.get(name, deque(maxlen=MAX_QUEUED)) for name in cameras}

    def _monitor(self, name: str, stall: StallConfig) -> StallMonitor:
        before = self._monitors.get(name)
        if before is not None and before.stall == stall:
            return before
        if before is not None:
            return StallMonitor(stall, self._keypoint_threshold, before.day_log)
        day_log = DayLog(self._saved_days.get(name, []))
        return StallMonitor(stall, self._keypoint_threshold, day_log, saved=self._saved_horses.pop(name, None))

    def _new_aisle(self, name: str) -> AisleMonitor:
        return AisleMonitor(self._keypoint_threshold, self._saved_gait.get(name), self._save_gait)

    def sink(self, frame: Frame, result: FrameResult) -> None:
        """Queue a result. The compute thread."""
        if (queue := self._queues.get(result.camera)) is not None:
            queue.append(result)

    def poll(self, camera: str, now_ns: int, local: datetime, *, clock_synced: bool = False) -> None:
        """Process what has been queued for a camera, and tick once a second.

        `clock_synced`: dates later than that of `local` come from a clock that was wrong, and are corrected.
        """
        if (queue := self._queues.get(camera)) is None:
            return
        now_s, stall, aisle = now_ns / NS_PER_S, self._monitors.get(camera), self._aisles.get(camera)
        monitors = [one for one in (stall, aisle) if one is not None]
        while queue:
            result = queue.popleft()
            for monitor in monitors:
                monitor.process(result)
        if now_s - self._last_tick_s.get(camera, 0.0) < TICK_PERIOD_S:
            return
        self._last_tick_s[camera] = now_s
        if clock_synced:
            self._correct_dates(camera, local.date().isoformat())
        for monitor in monitors:
            monitor.tick(now_s, local)
        if stall is not None:
            self._update_idle_rate(camera, None if aisle is not None else stall.idle_rate_hz(now_s))

    def _correct_dates(self, camera: str, today: str) -> None:
        if (stall := self._monitors.get(camera)) is not None:
            stall.day_log.correct(today)
        if (aisle := self._aisles.get(camera)) is not None:
            aisle.correct(today)

    def _update_idle_rate(self, name: str, hz: float | None) -> None:
        if hz == self._idle_rates_hz.get(name):
            return
        self._set_idle_rate(name, hz)
        if hz is None:
            del self._idle_rates_hz[name]
        else:
            self._idle_rates_hz[name] = hz

    def state(self, camera: str) -> StallState | None:
        monitor = self._monitors.get(camera)
        return None if monitor is None else monitor.state

    def findings(self, camera: str) -> Mapping[str, Finding]:
        monitor = self._monitors.get(camera)
        return {} if monitor is None else monitor.findings

    def days(self, camera: str) -> list[StallDay]:
        """The days of a stall, the oldest first; empty for another camera. Any thread."""
        monitor = self._monitors.get(camera)
        return [] if monitor is None else list(monitor.day_log.days)

    def day(self, camera: str, date: str) -> StallDay | None:
        """A day of a stall, of one that is switched off too."""
        days = self.days(camera) or self._saved_days.get(camera, [])
        return next((day for day in days if day.date == date), None)

    def gait(self, camera: str, date: str) -> GaitDay | None:
        """The passages along an aisle on a date; None for another camera."""
        monitor = self._aisles.get(camera)
        if monitor is None:
            return None
        return monitor.day if monitor.day is not None and monitor.day.date == date else GaitDay(date)

    def snapshot(self) -> dict[str, list[dict[str, Any]]]:
        """All days of all stalls, those that are switched off too, for `write`."""
        days = {**self._saved_days, **{name: list(monitor.day_log.days) for name, monitor in self._monitors.items()}}
        return {name: [day.to_json() for day in kept] for name, kept in days.items()}

    def horses(self) -> dict[str, Any]:
        """What is known of the horses, for `write`."""
        return horse_memory.document({**self._saved_horses, **self._known_horses()})

    def _known_horses(self) -> dict[str, StallMemory]:
        return {name: memory for name, monitor in self._monitors.items() if (memory := monitor.memory) is not None}

    def write(self, days: Mapping[str, list[dict[str, Any]]], horses: Mapping[str, Any]) -> None:
        """Write the state files: past days only when a day has ended, which spares a memory card."""
        if not days:
            return
        self._horses_file.write(horses)
        past_dates = {name: [day["date"] for day in kept[:-1]] for name, kept in days.items()}
        if past_dates != self._written_dates:
            self._past_file.write({name: kept[:-1] for name, kept in days.items()})
            self._written_dates = past_dates
        self._today_file.write({name: kept[-1:] for name, kept in days.items()})

    def _save_gait(self) -> None:
        days = {**self._saved_gait, **{name: monitor.day for name, monitor in self._aisles.items()}}
        self._gait_file.write({name: asdict(day) for name, day in days.items() if day is not None})


def load_days(state_dir: Path) -> dict[str, list[StallDay]]:
    """The days of a state directory, by camera, the oldest first."""
    none: dict[str, list[StallDay]] = {}
    past, today = (JsonState(state_dir / file, CONTENT).read(_parse_days, none) for file in (PAST_FILE, TODAY_FILE))
    return {name: _merge_days(past.get(name, []), today.get(name, [])) for name in {**past, **today}}


def _merge_days(past: list[StallDay], today: list[StallDay]) -> list[StallDay]:
    """A power cut between the two files leaves a day in both, or in neither for a minute."""
    dates = {day.date for day in today}
    return sorted([day for day in past if day.date not in dates] + today, key=lambda day: day.date)


def _parse_days(tables: dict[str, list[dict[str, Any]]]) -> dict[str, list[StallDay]]:
    return {name: [StallDay.from_json(day) for day in days] for name, days in tables.items()}
