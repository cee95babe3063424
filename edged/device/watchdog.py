"""Whether the daemon gets on, and where it stands in one line, for who keeps watch over it: systemd.

Upstream the loop, between two frames. Downstream a `Keeper`, who ends a daemon that does not get on. The loop's thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from time import monotonic_ns
from typing import Protocol

from edged.capture.camera import CameraState
from edged.capture.hub import CaptureStats
from edged.device.recovery import CameraRecovery
from edged.inference.engine_builds import BuildStatus
from edged.runtime.threads import Trouble
from edged.units import S_PER_MIN, ns

log = logging.getLogger(__name__)

FEEDS_PER_TIMEOUT = 4  # per time after which the keeper would act
POLL_S = 5.0  # between two looks where nobody would act
MAX_REASON_CHARS = 90  # characters of a reason


class ServiceManager(Protocol):
    """Who watches. None of this blocks."""

    watchdog_s: float | None

    def feed_watchdog(self) -> None: ...
    def status(self, text: str) -> None: ...
    def request_unit(self, unit: str) -> None: ...
    def extend_timeout(self, what: str, limit_s: float) -> AbstractContextManager[None]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchdogSnapshot:
    """The daemon at one instant."""

    cameras: CaptureStats
    threads: Sequence[Trouble]
    connected: bool
    builds: Mapping[str, BuildStatus]  # engines in the making, by model


class Watchdog:
    """Asks for a look a few times per watchdog time, and says that we live when there was progress since the last."""

    def __init__(
        self,
        manager: ServiceManager,
        snapshot: Callable[[], WatchdogSnapshot],
        recovery: CameraRecovery,
        clock: Callable[[], int] = monotonic_ns,
    ) -> None:
        self._manager = manager
        self._snapshot = snapshot
        self._recovery = recovery
        self._clock = clock
        self._period_ns = ns((manager.watchdog_s or FEEDS_PER_TIMEOUT * POLL_S) / FEEDS_PER_TIMEOUT)
        self._next_ns = clock()
        self._previous: WatchdogSnapshot | None = None
        self._stall_reason = ""

    def poll(self) -> None:
        """Between two frames, or when there were none for a moment."""
        now_ns = self._clock()
        if now_ns < self._next_ns:
            return
        self._next_ns = now_ns + self._period_ns
        now, before = self._snapshot(), self._previous
        self._previous = now
        if before is not None:
            self._log_change(stall_reason(before, now))
        if not self._stall_reason:
            self._manager.feed_watchdog()
        self._manager.status(self._stall_reason or status_line(now))
        for remedy in self._recovery.due_actions(now.cameras.offline, now.cameras.online):
            log.warning("asking systemd for %s", remedy)
            self._manager.request_unit(remedy)

    def extend_timeout(self, what: str, limit_s: float) -> AbstractContextManager[None]:
        """Inside, no frame is taken, and that is well for so long."""
        return self._manager.extend_timeout(what, limit_s)

    def _log_change(self, reason: str) -> None:
        if reason and not self._stall_reason:
            log.error("no progress: %s", reason)
        elif self._stall_reason and not reason:
            log.info("progress again")
        self._stall_reason = reason


def stall_reason(before: WatchdogSnapshot, now: WatchdogSnapshot) -> str:
    """Why there was no progress between two looks; empty when there was.

    A camera that gives nothing is no hindrance: it is stalled, lost or ended, as long as somebody minds it.
    """
    if now.cameras.dropped != before.cameras.dropped and now.cameras.processed == before.cameras.processed:
        return "frames are dropped, and none is processed"
    return next((str(trouble) for trouble in now.threads if trouble.kind != "failing"), "")


def status_line(now: WatchdogSnapshot) -> str:
    """For a technician: `1 of 2 cameras online; stall2 lost: connection refused; broker connected`."""
    online = sum(state.phase == "online" for state in now.cameras.states.values())
    parts = [f"{online} of {len(now.cameras.states)} cameras online"]
    parts += [_camera(state) for state in now.cameras.states.values() if state.phase != "online"]
    parts += [_build(name, work) for name, work in now.builds.items() if work.phase not in ("waiting", "ready")]
    return "; ".join([*parts, "broker connected" if now.connected else "no broker"])


def _camera(state: CameraState) -> str:
    return f"{state.camera} {state.phase}{f': {state.reason[:MAX_REASON_CHARS]}' if state.reason else ''}"


def _build(name: str, work: BuildStatus) -> str:
    share = "" if work.progress is None else f" {work.progress:.0%}"
    left = "" if work.remaining_s is None else f", about {max(1, round(work.remaining_s / S_PER_MIN))} min left"
    reasons = [f": {said[:MAX_REASON_CHARS]}" for said in (work.reason, work.rebuild_reason) if said]
    last = "" if work.previous_build_s is None else f"; it took {_duration(work.previous_build_s)} last time"
    return f"engine {name} {work.phase}{share}{left}{''.join(reasons)}{last}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 2 * S_PER_MIN else f"{seconds / S_PER_MIN:.0f} min"
