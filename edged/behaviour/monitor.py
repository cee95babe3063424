"""The cameras watched twice a second: states, daily totals and alerts, told when there is something to tell.

Upstream: each camera's state and latest result. Downstream: the bus, and a file that keeps the days through
restarts. A thread of its own, so that the frames' way knows nothing of it.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from time import monotonic_ns
from typing import Any

from edged.behaviour.alerts import CAMERA_RULES, Alert, AlertMonitors
from edged.behaviour.daily import DailyCounter, DailyTotals
from edged.behaviour.horse.alerts import HORSE_RULES as BARN
from edged.behaviour.horse.stall_monitors import StallMonitors
from edged.behaviour.messages import alert_message, daily_message, state_message
from edged.behaviour.presence import CameraObservation, PresenceFilter, SceneState
from edged.behaviour.view_monitor import ViewMonitors
from edged.capture.camera import CameraState
from edged.config.tables.stall import StallConfig
from edged.frame import FrameResult
from edged.messages.build import HeaderFactory
from edged.messages.bus import Bus
from edged.messages.topics import ALERT, DAILY, STATE
from edged.runtime.json_state import JsonState
from edged.runtime.threads import SupervisedThread
from edged.units import MS_PER_S, ns

PERIOD_S = 0.5
SAVE_PERIOD_NS = ns(60)
MAX_RESULT_AGE_NS = ns(5)  # an older result says nothing about now
JOIN_S = 2.0

CameraReading = tuple[CameraState, FrameResult | None]  # a camera, and what was last seen there


class SceneMonitor:
    """`glances` shows every camera as it is; `classes` are what each camera looks for."""

    def __init__(
        self,
        bus: Bus,
        headers: HeaderFactory,
        read_cameras: Callable[[], Mapping[str, CameraReading]],
        classes: Mapping[str, tuple[str, ...]],
        *,
        stalls: StallMonitors,
        views: ViewMonitors | None = None,
        state_file: Path,
        daily_s: float,
    ) -> None:
        self._bus = bus
        self._headers = headers
        self._read_cameras = read_cameras
        self._stalls = stalls
        self._views = views
        self._file = JsonState(state_file, "today's totals")
        self._presence: dict[str, PresenceFilter] = {}
        self._states: dict[str, SceneState] = {}
        self._saved_totals: dict[str, DailyTotals] = self._file.read(_parse_totals, {})
        self._counters: dict[str, DailyCounter] = {}
        self.alerts = AlertMonitors((), self._publish_alert, (*CAMERA_RULES, *BARN))
        self._lock = threading.Lock()
        self.reconfigure(classes, daily_s)
        self._last_save_ns = self._last_daily_ns = monotonic_ns()
        self._thread = SupervisedThread("behaviour", self._step, first_s=PERIOD_S)

    def reconfigure(
        self,
        classes: Mapping[str, tuple[str, ...]],
        daily_s: float,
        stalls: Mapping[str, StallConfig] | None = None,
        aisles: Iterable[str] = (),
    ) -> None:
        """From now on these cameras; those that were here go on as they are. Without `stalls` these stay too."""
        with self._lock:
            if stalls is not None:
                self._stalls.reconfigure(stalls, aisles)
                if self._views is not None:
                    self._views.reconfigure(stalls)
            self._saved_totals |= {name: diary.today for name, diary in self._counters.items()}
            self._classes = classes
            self._daily_ns = ns(daily_s)
            self._presence = {name: self._presence.get(name) or PresenceFilter() for name in classes}
            self._counters = {name: self._counters.get(name) or self._new_counter(name) for name in classes}
            self._states = {name: self._states[name] for name in classes if name in self._states}
            self.alerts.reconfigure(tuple(classes))

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """What was counted so far is kept."""
        self._thread.stop()
        self._thread.join(JOIN_S)
        self.save()

    def _step(self) -> float:
        with self._lock:
            self.poll(monotonic_ns())
        return PERIOD_S

    def poll(self, now_ns: int) -> None:
        """Once around all cameras."""
        glances = self._read_cameras()
        self._stalls.poll(now_ns, self._local_time(now_ns))
        for name, (state, latest) in ((name, glances[name]) for name in self._classes if name in glances):
            look = observe(state, latest, self._classes[name], now_ns)
            if look.view == "ok":
                outlook = None if self._views is None else self._views.view_change(name, now_ns)
                look = replace(
                    look, stall=self._stalls.state(name), findings=self._stalls.findings(name), view_change=outlook
                )
            self.alerts.update(name, look)
            if ended := self._counters[name].update(look, self._date(now_ns), clock_synced=self._headers.synced):
                self._publish_daily(name, ended, closed=True)
            if situation := self._presence[name].update(look):
                self._states[name] = situation
                self._publish_state(name)
        if now_ns - self._last_daily_ns >= self._daily_ns:
            self._last_daily_ns = now_ns
            for name, diary in self._counters.items():
                self._publish_daily(name, diary.today, closed=False)
        if now_ns - self._last_save_ns >= SAVE_PERIOD_NS:
            self._last_save_ns = now_ns
            self.save()

    def _new_counter(self, name: str) -> DailyCounter:
        """Of today, as far as it is known."""
        return DailyCounter(self._saved_totals.get(name) or DailyTotals(date=self._date(monotonic_ns())))

    def _publish_alert(self, alert: Alert) -> None:
        self._bus.publish(ALERT.at(camera=alert.camera), alert_message(self._headers, alert))
        if alert.camera in self._states:
            self._publish_state(alert.camera)

    def _publish_state(self, name: str) -> None:
        body = state_message(self._headers, name, self._states[name], self.alerts.open_ids(name))
        self._bus.publish(STATE.at(camera=name), body)

    def _publish_daily(self, name: str, day: DailyTotals, *, closed: bool) -> None:
        stall, gait = self._stalls.day(name, day.date), self._stalls.gait(name, day.date)
        message = daily_message(self._headers, name, day, stall=stall, gait=gait, closed=closed)
        self._bus.publish(DAILY.at(camera=name), message)

    def _date(self, now_ns: int) -> str:
        return self._local_time(now_ns).date().isoformat()

    def _local_time(self, now_ns: int) -> datetime:
        return datetime.fromtimestamp(self._headers.utc_ms(now_ns) / MS_PER_S).astimezone()

    def save(self) -> None:
        self._file.write({name: asdict(diary.today) for name, diary in self._counters.items()})
        self._stalls.save()


def observe(state: CameraState, latest: FrameResult | None, classes: Iterable[str], now_ns: int) -> CameraObservation:
    """What a camera shows right now."""
    if state.phase == "lost":
        return CameraObservation(t_ns=now_ns, view="lost", reason=state.reason)
    if latest is None or now_ns - latest.done_ns > MAX_RESULT_AGE_NS:
        return CameraObservation(t_ns=now_ns, view="unknown")
    if latest.quality.degraded:
        return CameraObservation(t_ns=now_ns, view="degraded", degraded=latest.quality.degraded)
    count = Counter(subject.label for subject in latest.subjects)
    return CameraObservation(t_ns=now_ns, view="ok", counts={label: count[label] for label in classes})


def _parse_totals(table: Any) -> dict[str, DailyTotals]:
    return {name: DailyTotals(**day) for name, day in table.items()}
