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

from edged.barn.alerts import RULES as BARN
from edged.barn.settings import Stall
from edged.barn.stable import Stable
from edged.bus import message
from edged.bus.message import Stamps
from edged.bus.topics import ALERT, DAILY, STATE
from edged.channel import CameraState
from edged.frame import Result
from edged.memory import Memory
from edged.ports import Bus
from edged.units import MS_PER_S, ns
from edged.watching.alerts import RULES, Alerts, Episode
from edged.watching.daily import Day, Diary
from edged.watching.outlooks import Outlooks
from edged.watching.scene import Look, Scene, Situation

PERIOD_S = 0.5
SAVE_NS = ns(60)
FRESH_NS = ns(5)  # an older result says nothing about now
JOIN_S = 2.0

Glance = tuple[CameraState, Result | None]  # a camera, and what was last seen there


class Scenes:
    """`glances` shows every camera as it is; `classes` are what each camera looks for."""

    def __init__(
        self,
        bus: Bus,
        stamps: Stamps,
        glances: Callable[[], Mapping[str, Glance]],
        classes: Mapping[str, tuple[str, ...]],
        *,
        stable: Stable,
        outlooks: Outlooks | None = None,
        memory: Path,
        daily_s: float,
    ) -> None:
        self._bus = bus
        self._stamps = stamps
        self._glances = glances
        self._stable = stable
        self._outlooks = outlooks
        self._memory = Memory(memory, "today's totals")
        self._scenes: dict[str, Scene] = {}
        self._situations: dict[str, Situation] = {}
        self._days: dict[str, Day] = self._memory.read(_days, {})
        self._diaries: dict[str, Diary] = {}
        self.alerts = Alerts((), self._tell, (*RULES, *BARN))
        self._looking = threading.Lock()
        self.adopt(classes, daily_s)
        self._saved_ns = self._totalled_ns = monotonic_ns()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scenes", daemon=True)

    def adopt(
        self,
        classes: Mapping[str, tuple[str, ...]],
        daily_s: float,
        stalls: Mapping[str, Stall] | None = None,
        aisles: Iterable[str] = (),
    ) -> None:
        """From now on these cameras; those that were here go on as they are. Without `stalls` these stay too."""
        with self._looking:
            if stalls is not None:
                self._stable.adopt(stalls, aisles)
                if self._outlooks is not None:
                    self._outlooks.adopt(stalls)
            self._days |= {name: diary.today for name, diary in self._diaries.items()}
            self._classes = classes
            self._daily_ns = ns(daily_s)
            self._scenes = {name: self._scenes.get(name) or Scene() for name in classes}
            self._diaries = {name: self._diaries.get(name) or self._diary(name) for name in classes}
            self._situations = {name: self._situations[name] for name in classes if name in self._situations}
            self.alerts.adopt(tuple(classes))

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """What was counted so far is kept."""
        self._closing.set()
        self._thread.join(JOIN_S)
        self.save()

    def _run(self) -> None:
        while not self._closing.wait(PERIOD_S):
            with self._looking:
                self.look(monotonic_ns())

    def look(self, now_ns: int) -> None:
        """Once around all cameras."""
        glances = self._glances()
        self._stable.look(now_ns, self._local(now_ns))
        for name, (state, latest) in ((name, glances[name]) for name in self._classes if name in glances):
            look = look_of(state, latest, self._classes[name], now_ns)
            if look.view == "ok":
                outlook = None if self._outlooks is None else self._outlooks.found(name, now_ns)
                look = replace(
                    look, stall=self._stable.now(name), findings=self._stable.findings(name), outlook=outlook
                )
            self.alerts.see(name, look)
            if ended := self._diaries[name].see(look, self._date(now_ns), kept=self._stamps.synced):
                self._total(name, ended, closed=True)
            if situation := self._scenes[name].see(look):
                self._situations[name] = situation
                self._state(name)
        if now_ns - self._totalled_ns >= self._daily_ns:
            self._totalled_ns = now_ns
            for name, diary in self._diaries.items():
                self._total(name, diary.today, closed=False)
        if now_ns - self._saved_ns >= SAVE_NS:
            self._saved_ns = now_ns
            self.save()

    def _diary(self, name: str) -> Diary:
        """Of today, as far as it is known."""
        return Diary(self._days.get(name) or Day(date=self._date(monotonic_ns())))

    def _tell(self, episode: Episode) -> None:
        self._bus.publish(ALERT.at(camera=episode.camera), message.alert(self._stamps, episode))
        if episode.camera in self._situations:
            self._state(episode.camera)

    def _state(self, name: str) -> None:
        body = message.state(self._stamps, name, self._situations[name], self.alerts.open(name))
        self._bus.publish(STATE.at(camera=name), body)

    def _total(self, name: str, day: Day, *, closed: bool) -> None:
        watched = self._stable.day(name, day.date), self._stable.gait(name, day.date)
        self._bus.publish(DAILY.at(camera=name), message.daily(self._stamps, name, day, watched, closed=closed))

    def _date(self, now_ns: int) -> str:
        return self._local(now_ns).date().isoformat()

    def _local(self, now_ns: int) -> datetime:
        return datetime.fromtimestamp(self._stamps.utc_ms(now_ns) / MS_PER_S).astimezone()

    def save(self) -> None:
        self._memory.write({name: asdict(diary.today) for name, diary in self._diaries.items()})
        self._stable.save()


def look_of(state: CameraState, latest: Result | None, classes: Iterable[str], now_ns: int) -> Look:
    """What a camera shows right now."""
    if state.phase == "lost":
        return Look(t_ns=now_ns, view="lost", reason=state.reason)
    if latest is None or now_ns - latest.done_ns > FRESH_NS:
        return Look(t_ns=now_ns, view="unknown")
    if latest.clarity.degraded:
        return Look(t_ns=now_ns, view="degraded", degraded=latest.clarity.degraded)
    count = Counter(subject.label for subject in latest.seen)
    return Look(t_ns=now_ns, view="ok", present={label: count[label] for label in classes})


def _days(table: Any) -> dict[str, Day]:
    return {name: Day(**day) for name, day in table.items()}
