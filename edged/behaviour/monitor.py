"""All cameras, twice a second: states, daily totals and alerts, published when they change.

Upstream: each camera's status and latest result. Downstream: the bus, and files that keep the days through restarts.
Runs in the behaviour thread: nothing here delays a frame. A fault in one camera's data fails that camera only.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median_low
from time import monotonic_ns
from typing import Any

from edged.behaviour.alert_store import AlertStore
from edged.behaviour.alerts import Alert, AlertMonitors
from edged.behaviour.daily import DailyCounter, DailyTotals, parse_totals
from edged.behaviour.down import DownMonitors
from edged.behaviour.horse.stall_monitors import StallMonitors
from edged.behaviour.messages import alert_message, daily_message, state_message
from edged.behaviour.types import CameraObservation, SceneState, StallState, View
from edged.behaviour.view_monitor import ViewMonitors
from edged.capture.camera import CameraState
from edged.config.tables.down import DownConfig
from edged.config.tables.stall import StallConfig
from edged.frame import FrameResult
from edged.messages.build import HeaderFactory
from edged.messages.bus import Bus
from edged.messages.schema import State
from edged.messages.topics import ALERT, DAILY, STATE
from edged.runtime.json_state import JsonState
from edged.runtime.threads import SupervisedThread
from edged.units import MS_PER_S, ns

log = logging.getLogger(__name__)

PERIOD_S = 0.5  # between two looks at the cameras; sets how late an alert may be
PRESENCE_WINDOW_NS = ns(3)  # a state is what most observations of this window show
MIN_STALL_CHANGE_NS = ns(2)  # between two states that differ in the stall alone
SAVE_PERIOD_NS = ns(60)  # what a power cut may cost of the day
KEPT_DAYS = 31  # the last day of a camera that is gone: it may come back
MAX_RESULT_AGE_NS = ns(5)  # an older result says nothing about now
MAX_INTERVALS = 3  # between results, after which one is overdue
ALERTS_FILE = "alerts.json"
JOIN_S = 2.0  # for the thread to end

CameraReading = tuple[CameraState, FrameResult | None]  # a camera's status and its latest result


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitored:
    """What is monitored, by camera."""

    classes: Mapping[str, tuple[str, ...]]  # that are counted
    daily_s: float  # between two messages of the running day
    stalls: Mapping[str, StallConfig] = field(default_factory=dict)
    aisles: Collection[str] = ()
    floors: Mapping[str, StallConfig] = field(default_factory=dict)  # drawings whose views must stay as they are
    downs: Mapping[str, tuple[DownConfig, StallConfig]] = field(default_factory=dict)  # where people should not lie
    alerting: Collection[str]  # that open alerts
    off: Collection[str] = ()  # that are switched off, whose day ends nevertheless


class SceneMonitor:
    """Thread: `poll` belongs to the behaviour thread, the rest to any."""

    def __init__(
        self,
        bus: Bus,
        headers: HeaderFactory,
        read_cameras: Callable[[], Mapping[str, CameraReading]],
        monitored: Monitored,
        *,
        stalls: StallMonitors,
        views: ViewMonitors | None = None,
        state_file: Path,
    ) -> None:
        self._bus, self._headers, self._read_cameras = bus, headers, read_cameras
        self._stalls = stalls
        self._views = views
        self.down = DownMonitors()
        self._file = JsonState(state_file, "today's totals")
        self._presence: dict[str, PresenceFilter] = {}
        self._frame_clocks: dict[str, FrameClock] = {}
        self._states: dict[str, SceneState] = {}
        self.on_alert: Callable[[Alert, Mapping[str, Any]], None] | None = None  # gets each stage; must not wait
        self.latest_states: dict[str, State] = {}  # the last message of each camera; any thread may read it
        self._saved_totals: dict[str, DailyTotals] = self._file.read(parse_totals, {})
        self._counters: dict[str, DailyCounter] = {}
        self._alert_store = AlertStore(state_file.with_name(ALERTS_FILE), headers.utc_ms)
        self.alerts = AlertMonitors((), self._publish_alert)
        self._zone_date = ""  # on which the zone was read last
        self._day_closed = False  # and not saved yet: a restart would close it again
        self._lock, self._save_lock = threading.Lock(), threading.Lock()  # of all above; of the state files
        self._logged: set[tuple[str, type[Exception]]] = set()
        restored, unsent = self._alert_store.load(monotonic_ns())
        for message in unsent:
            self._bus.publish(ALERT.at(camera=message["camera"]), message)
        self.alerts.reconfigure(tuple(monitored.alerting), restored)
        self.reconfigure(monitored)
        self._last_save_ns = self._last_daily_ns = monotonic_ns()
        self._thread = SupervisedThread("behaviour", self._step, first_s=PERIOD_S)

    def reconfigure(self, monitored: Monitored) -> None:
        """Monitor these cameras from now on; those that stay keep their state."""
        classes = monitored.classes
        time.tzset()  # a zone that was changed since is taken up
        with self._lock:
            self._stalls.reconfigure(monitored.stalls, monitored.aisles)
            self.down.reconfigure(monitored.downs)
            if self._views is not None:
                self._views.reconfigure(monitored.floors)
            self._saved_totals |= {name: counter.today for name, counter in self._counters.items()}
            self._classes, self._off = classes, monitored.off
            self._daily_ns = ns(monitored.daily_s)
            self._frame_clocks = {name: self._frame_clocks.get(name) or FrameClock() for name in classes}
            self._presence = {name: self._presence.get(name) or PresenceFilter() for name in classes}
            self._counters = {name: self._counters.get(name) or self._new_counter(name) for name in classes}
            self._states = {name: self._states[name] for name in classes if name in self._states}
            self.latest_states = {name: state for name, state in self.latest_states.items() if name in classes}
            self.alerts.reconfigure(tuple(monitored.alerting))

    def publish_unwatched(self, name: str) -> None:
        """The state of a camera that is not monitored: nothing is known, and no alert is open."""
        scene = SceneState(view="unknown", degraded=(), counts=None, since_ns=monotonic_ns(), stall=None)
        self._bus.publish(STATE.at(camera=name), state_message(self._headers, name, scene, (), scene.since_ns))

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stop, and save what has been counted so far."""
        self._thread.stop()
        self._thread.join(JOIN_S)
        self.save()

    def _step(self) -> float:
        failures = self.poll(monotonic_ns())
        self._thread.partial_error = "; ".join(f"camera {name}: {error}" for name, error in failures.items())
        return PERIOD_S

    def poll(self, now_ns: int) -> dict[str, str]:
        """Take in every camera's reading and publish what is due; the cameras that failed, and why."""
        with self._lock:
            failures = self._poll_cameras(now_ns)
        self._alert_store.confirm(now_ns, self._is_stored)
        due = self._day_closed or now_ns - self._last_save_ns >= SAVE_PERIOD_NS
        if due and (not self._day_closed or self._is_stored()):  # a day that is saved as closed is not told again
            self._day_closed = False
            self._last_save_ns = now_ns
            self.save()
        return failures

    def _is_stored(self) -> bool:
        """Whether all messages that must survive are on the disk."""
        return not self._bus.stats["stored"]["unwritten"]

    def _poll_cameras(self, now_ns: int) -> dict[str, str]:
        if (date := self._date(now_ns)) != self._zone_date:
            time.tzset()
            self._zone_date = date
            self._close_days(date)
            self._forget_gone(date)
        readings, failures = self._read_cameras(), dict[str, str]()
        daily_due = now_ns - self._last_daily_ns >= self._daily_ns
        for name in self._classes:
            try:
                if name in readings:
                    self._poll_camera(name, *readings[name], now_ns)
                if daily_due:
                    self._publish_daily(name, self._counters[name].today, closed=False)
            except Exception as exc:  # supervisor of one camera: the others go on
                failures[name] = self._failed(name, exc)
        if daily_due:
            self._last_daily_ns = now_ns
        return failures

    def _close_days(self, date: str) -> None:
        """Those of cameras that are switched off, when another one begins: no observation of theirs would."""
        for name in self._off:
            if (ended := self._saved_totals.get(name)) is not None and ended.date < date:
                if ended.view_s:
                    self._publish_daily(name, ended, closed=True)
                    self._saved_totals[name] = ended.next_day(date)
                else:
                    ended.move_to(date)

    def _forget_gone(self, date: str) -> None:
        """The days of cameras that the configuration has had no more for a month."""
        oldest = (datetime.fromisoformat(date) - timedelta(days=KEPT_DAYS)).date().isoformat()
        kept = {*self._classes, *self._off}
        if self._headers.synced:
            self._saved_totals = {
                name: day for name, day in self._saved_totals.items() if name in kept or day.date >= oldest
            }

    def _poll_camera(self, name: str, status: CameraState, latest: FrameResult | None, now_ns: int) -> None:
        self._stalls.poll(name, now_ns, self._local_time(now_ns), clock_synced=self._headers.synced)
        observation = observe(status, latest, self._classes[name], now_ns)
        observation = replace(observation, overdue=self._frame_clocks[name].overdue(observation, latest))
        if observation.view == "ok":
            stall = self._stalls.state(name)
            observation = replace(
                observation,
                counts=_counts_with(stall, observation.counts),
                stall=stall,
                findings={**self._stalls.findings(name), **self.down.findings(name, now_ns)},
                view_change=None if self._views is None else self._views.view_change(name, now_ns),
            )
        self.alerts.update(name, observation)
        ended = self._counters[name].update(observation, self._date(now_ns), clock_synced=self._headers.synced)
        if ended is not None:
            self._publish_daily(name, ended, closed=True)
        state = self._presence[name].update(observation)
        if state is not None:
            self._states[name] = state
            self._publish_state(name, state.since_ns)

    def _failed(self, camera: str, exc: Exception) -> str:
        """What failed, logged once per camera and kind."""
        if (camera, type(exc)) not in self._logged:
            self._logged.add((camera, type(exc)))
            log.error("camera %s: its states and alerts fail, other cameras go on: %s", camera, exc, exc_info=exc)
        return f"{type(exc).__name__}: {exc}"

    def _new_counter(self, name: str) -> DailyCounter:
        """The saved totals of today go on."""
        date = self._date(monotonic_ns())
        totals = self._saved_totals.get(name) or DailyTotals(date=date)
        if not totals.view_s:
            totals.move_to(date)
        return DailyCounter(totals)

    def _publish_alert(self, alert: Alert) -> None:
        message = alert_message(self._headers, alert)
        self._alert_store.put(alert, message, lambda: self._bus.publish(ALERT.at(camera=alert.camera), message))
        if self.on_alert is not None:
            self.on_alert(alert, message)
        if alert.camera in self._states:
            self._publish_state(alert.camera, alert.published_ns)

    def _publish_state(self, name: str, changed_ns: int) -> None:
        message = state_message(self._headers, name, self._states[name], self.alerts.open(name), changed_ns)
        self.latest_states[name] = message
        self._bus.publish(STATE.at(camera=name), message)

    def _publish_daily(self, name: str, totals: DailyTotals, *, closed: bool) -> None:
        stall, gait = self._stalls.day(name, totals.date), self._stalls.gait(name, totals.date)
        message = daily_message(self._headers, name, totals, stall=stall, gait=gait, closed=closed)
        self._bus.publish(DAILY.at(camera=name), message)
        self._day_closed |= closed

    def _date(self, now_ns: int) -> str:
        return self._local_time(now_ns).date().isoformat()

    def _local_time(self, now_ns: int) -> datetime:
        return datetime.fromtimestamp(self._headers.utc_ms(now_ns) / MS_PER_S).astimezone()

    def save(self) -> None:
        """Write the state files. Nothing else waits for the disk."""
        with self._save_lock:
            with self._lock:
                totals = {**self._saved_totals, **{name: counter.today for name, counter in self._counters.items()}}
                days, horses = self._stalls.snapshot(), self._stalls.horses()
            self._file.write({name: asdict(day) for name, day in totals.items()})
            self._stalls.write(days, horses)


class FrameClock:
    """How far apart the results of one camera are, so that a slow camera is not taken for one that fails."""

    def __init__(self) -> None:
        self._last_ns: int | None = None  # of the latest result
        self._interval_ns = 0

    def overdue(self, observation: CameraObservation, latest: FrameResult | None) -> bool:
        """Whether the view is unknown, and a result should have come by now."""
        if latest is not None and latest.done_ns != self._last_ns:
            self._interval_ns = 0 if self._last_ns is None else latest.done_ns - self._last_ns
            self._last_ns = latest.done_ns
        waited_ns = 0 if self._last_ns is None else observation.t_ns - self._last_ns
        late = self._last_ns is None or waited_ns > MAX_INTERVALS * self._interval_ns
        return observation.view == "unknown" and not observation.ended and late


class PresenceFilter:
    """One camera's observations as states: a subject that is missed in a frame has not left."""

    def __init__(self) -> None:
        self._observations: deque[CameraObservation] = deque()
        self._state: SceneState | None = None

    def update(self, observation: CameraObservation) -> SceneState | None:
        """The new state; None: it has not changed."""
        if observation.view in ("lost", "unknown"):
            self._observations.clear()
            return self._change_to(observation.view, (), None, observation)
        self._observations.append(observation)
        while observation.t_ns - self._observations[0].t_ns > PRESENCE_WINDOW_NS:
            self._observations.popleft()
        if observation.t_ns - self._observations[0].t_ns < PRESENCE_WINDOW_NS // 2:  # too short to tell
            return None
        return self._change_to(*self._majority(), observation)

    def _majority(self) -> tuple[View, tuple[str, ...], Mapping[str, int] | None]:
        """View, faults and counts that most of the observations show; of faults that take turns, all."""
        total = len(self._observations)
        clear = [one.counts for one in self._observations if one.view == "ok" and one.counts is not None]
        if 2 * len(clear) < total:
            faults = Counter(fault for one in self._observations for fault in one.degraded)
            most = [fault for fault in faults if 2 * faults[fault] > total]
            return "degraded", tuple(sorted(most or faults)), None
        labels = sorted({label for counts in clear for label in counts})
        return "ok", (), {label: median_low(counts.get(label, 0) for counts in clear) for label in labels}

    def _change_to(
        self, view: View, degraded: tuple[str, ...], counts: Mapping[str, int] | None, observation: CameraObservation
    ) -> SceneState | None:
        since_ns = observation.t_ns if self._state is None else self._state.since_ns
        clear = (one.stall for one in reversed(self._observations) if one.view == "ok")  # the latest that is known
        stall = next(clear, None) if view == "ok" else None
        if stall is not None and counts is not None:  # its `person_present` says it
            counts = {label: count for label, count in counts.items() if label != "person"}
        state = SceneState(view=view, degraded=degraded, counts=counts, since_ns=since_ns, stall=stall)
        if state == self._state:
            return None
        stall_alone = self._state is not None and state == replace(self._state, stall=stall)
        if stall_alone and observation.t_ns - since_ns < MIN_STALL_CHANGE_NS:
            return None
        self._state = replace(state, since_ns=observation.t_ns)
        return self._state


def observe(status: CameraState, latest: FrameResult | None, classes: Iterable[str], now_ns: int) -> CameraObservation:
    """One camera at `now_ns`, from its status and its latest result."""
    if status.phase == "lost":
        return CameraObservation(t_ns=now_ns, view="lost", reason=status.reason)
    if latest is None or now_ns - latest.done_ns > MAX_RESULT_AGE_NS:
        return CameraObservation(
            t_ns=now_ns, view="unknown", connecting=status.phase == "connecting", ended=status.phase == "ended"
        )
    if latest.quality.degraded:
        return CameraObservation(t_ns=now_ns, view="degraded", degraded=latest.quality.degraded)
    counts = Counter(subject.label for subject in latest.subjects)
    return CameraObservation(t_ns=now_ns, view="ok", counts={label: counts[label] for label in classes})


def _counts_with(stall: StallState | None, counts: Mapping[str, int] | None) -> Mapping[str, int] | None:
    """The counts; whether a person is in a stall is answered once, by what moves (`person_present`)."""
    if stall is None or counts is None or "person" not in counts:
        return counts
    return {**counts, "person": int(stall.person_present)}
