"""Feeds systemd's watchdog while the daemon makes progress, and reports its status in one line.

Upstream: the loop, between two frames; the state of cameras and threads. Downstream: systemd, which ends a daemon whose
watchdog is not fed. Thread: the loop's.
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

FEEDS_PER_TIMEOUT = 4  # Source: sd_watchdog_enabled(3) wants two at least
POLL_S = 5.0  # where there is no watchdog
MAX_REASON_CHARS = 90


class ServiceManager(Protocol):
    """systemd, or a stand-in. None of its methods waits."""

    watchdog_s: float | None

    def feed_watchdog(self) -> None: ...
    def status(self, text: str) -> None: ...
    def request_unit(self, unit: str) -> None: ...
    def extend_timeout(self, what: str, limit_s: float) -> AbstractContextManager[None]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchdogSnapshot:
    """The daemon at one instant."""

    cameras: CaptureStats
    threads: Sequence[Trouble]  # of those that do not go round
    connected: bool
    builds: Mapping[str, BuildStatus]  # of engines, by model


class Watchdog:
    """Compares the daemon with its last snapshot, a few times per timeout, and feeds the watchdog if it got on."""

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
        """Between two frames, or while none come."""
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
        for unit in self._recovery.due_actions(now.cameras.offline, now.cameras.online):
            log.warning("requesting %s of systemd", unit)
            self._manager.request_unit(unit)

    def extend_timeout(self, what: str, limit_s: float) -> AbstractContextManager[None]:
        """Inside, no frame is processed; for `limit_s` that is no stall."""
        return self._manager.extend_timeout(what, limit_s)

    def _log_change(self, reason: str) -> None:
        if reason and not self._stall_reason:
            log.error("no progress: %s", reason)
        elif self._stall_reason and not reason:
            log.info("progress again")
        self._stall_reason = reason


def stall_reason(before: WatchdogSnapshot, now: WatchdogSnapshot) -> str:
    """Why there was no progress between two snapshots; empty when there was.

    A camera without frames is no stall of the daemon, as long as the thread `capture-watch` goes round.
    """
    if now.cameras.dropped != before.cameras.dropped and now.cameras.processed == before.cameras.processed:
        return "frames are dropped, and none is processed"
    return next((str(trouble) for trouble in now.threads if trouble.kind != "failing"), "")


def status_line(now: WatchdogSnapshot) -> str:
    """For a technician: `1 of 2 cameras online; stall2 lost: connection refused; broker connected`."""
    online = sum(state.phase == "online" for state in now.cameras.states.values())
    parts = [f"{online} of {len(now.cameras.states)} cameras online"]
    parts += [_camera(state) for state in now.cameras.states.values() if state.phase != "online"]
    parts += [_build(name, build) for name, build in now.builds.items() if build.phase not in ("waiting", "ready")]
    return "; ".join([*parts, "broker connected" if now.connected else "no broker"])


def _camera(state: CameraState) -> str:
    return f"{state.camera} {state.phase}{f': {state.reason[:MAX_REASON_CHARS]}' if state.reason else ''}"


def _build(name: str, build: BuildStatus) -> str:
    share = "" if build.progress is None else f" {build.progress:.0%}"
    left = "" if build.remaining_s is None else f", about {max(1, round(build.remaining_s / S_PER_MIN))} min left"
    reasons = [f": {reason[:MAX_REASON_CHARS]}" for reason in (build.reason, build.rebuild_reason) if reason]
    last = "" if build.previous_build_s is None else f"; it took {_duration(build.previous_build_s)} last time"
    return f"engine {name} {build.phase}{share}{left}{''.join(reasons)}{last}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 2 * S_PER_MIN else f"{seconds / S_PER_MIN:.0f} min"
