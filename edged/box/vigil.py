"""Whether the daemon gets on, and where it stands in one line, for who keeps watch over it: systemd.

Upstream the loop, between two frames. Downstream a `Keeper`, who ends a daemon that does not get on. The loop's thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from time import monotonic_ns
from typing import Protocol

from edged.box.rescue import Rescue
from edged.box.smithy import Work
from edged.capture import Standing
from edged.channel import CameraState
from edged.units import S_PER_MIN, ns

log = logging.getLogger(__name__)

BEATS = 4  # per time after which the keeper would act
IDLE_S = 5.0  # between two looks where nobody would act
WORDS = 90  # characters of a reason


class Keeper(Protocol):
    """Who watches. None of this blocks."""

    watchdog_s: float | None

    def alive(self) -> None: ...
    def status(self, text: str) -> None: ...
    def ask(self, unit: str) -> None: ...
    def patience(self, what: str, limit_s: float) -> AbstractContextManager[None]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The daemon at one instant."""

    cameras: Standing
    told: bool  # whether health is being published
    connected: bool
    works: Mapping[str, Work]  # engines in the making, by model


class Vigil:
    """Asks for a look a few times per watchdog time, and says that we live when there was progress since the last."""

    def __init__(
        self, keeper: Keeper, look: Callable[[], Look], rescue: Rescue, clock: Callable[[], int] = monotonic_ns
    ) -> None:
        self._keeper = keeper
        self._look = look
        self._rescue = rescue
        self._clock = clock
        self._every_ns = ns((keeper.watchdog_s or BEATS * IDLE_S) / BEATS)
        self._next_ns = clock()
        self._before: Look | None = None
        self._hindrance = ""

    def beat(self) -> None:
        """Between two frames, or when there were none for a moment."""
        now_ns = self._clock()
        if now_ns < self._next_ns:
            return
        self._next_ns = now_ns + self._every_ns
        now, before = self._look(), self._before
        self._before = now
        if before is not None:
            self._note(hindrance(before, now))
        if not self._hindrance:
            self._keeper.alive()
        self._keeper.status(self._hindrance or line(now))
        for remedy in self._rescue.due(now.cameras.away, now.cameras.well):
            log.warning("asking systemd for %s", remedy)
            self._keeper.ask(remedy)

    def long(self, what: str, limit_s: float) -> AbstractContextManager[None]:
        """Inside, no frame is taken, and that is well for so long."""
        return self._keeper.patience(what, limit_s)

    def _note(self, hindrance: str) -> None:
        if hindrance and not self._hindrance:
            log.error("no progress: %s", hindrance)
        elif self._hindrance and not hindrance:
            log.info("progress again")
        self._hindrance = hindrance


def hindrance(before: Look, now: Look) -> str:
    """Why there was no progress between two looks; empty when there was.

    A camera that gives nothing is no hindrance: it is stalled, lost or ended, as long as somebody minds it.
    """
    if now.cameras.dropped != before.cameras.dropped and now.cameras.worked == before.cameras.worked:
        return "frames are dropped, and none is worked off"
    if now.cameras.rounds == before.cameras.rounds:
        return "nobody minds the cameras"
    return "" if now.told else "nobody publishes health"


def line(now: Look) -> str:
    """For a technician: `1 of 2 cameras online; stall2 lost: connection refused; broker connected`."""
    online = sum(state.phase == "online" for state in now.cameras.states.values())
    parts = [f"{online} of {len(now.cameras.states)} cameras online"]
    parts += [_camera(state) for state in now.cameras.states.values() if state.phase != "online"]
    parts += [_work(name, work) for name, work in now.works.items() if work.phase not in ("waiting", "ready")]
    return "; ".join([*parts, "broker connected" if now.connected else "no broker"])


def _camera(state: CameraState) -> str:
    return f"{state.camera} {state.phase}{f': {state.reason[:WORDS]}' if state.reason else ''}"


def _work(name: str, work: Work) -> str:
    share = "" if work.share is None else f" {work.share:.0%}"
    left = "" if work.left_s is None else f", about {max(1, round(work.left_s / S_PER_MIN))} min left"
    reasons = [f": {said[:WORDS]}" for said in (work.reason, work.because) if said]
    last = "" if work.last_s is None else f"; it took {_duration(work.last_s)} last time"
    return f"engine {name} {work.phase}{share}{left}{''.join(reasons)}{last}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 2 * S_PER_MIN else f"{seconds / S_PER_MIN:.0f} min"
