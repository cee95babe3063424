"""The daemon's threads: one table, and the supervisor that each of them runs under.

Upstream: every part that starts a thread. Downstream: the watchdog, which is fed only while all of them go round,
`problems` in health, and the loop, which raises what is fatal in a thread.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic_ns
from typing import Literal

from edged.errors import Fatal, LoopEnded, ThreadDied
from edged.units import NS_PER_S, ns

log = logging.getLogger(__name__)

MAX_RESTARTS, RESTART_WINDOW_S = 5, 60.0  # by hand
RESTART_WAIT_S = 1.0  # after an exception, while the restarts last

OnDeath = Literal["restart", "exit"]


@dataclass(frozen=True, slots=True)
class Row:
    """One thread of the daemon."""

    name: str
    step: str  # what it does in one round
    period_s: float | None  # between two rounds; None: as things come, or once
    limit_s: float | None  # longest round without progress, then it is stuck; None: `capture-watch` watches it
    on_death: OnDeath
    # restart: an exception begins the step again, at most MAX_RESTARTS times in RESTART_WINDOW_S, for ever.
    # exit: one exception more than that is fatal, and systemd starts the daemon again.


TABLE = (
    Row("capture", "opens a camera and reads it until it fails; one thread per camera", None, None, "restart"),
    Row("rtsp-relay", "passes a camera's stream on: logs in, encrypts, marks losses", None, None, "restart"),
    Row("capture-watch", "replaces capture threads that hang", 0.1, 10, "exit"),
    Row("frames", "computes further frames beside the loop; one thread per frame at once", 1, 120, "restart"),
    Row("mqtt", "connects, sends what waits, receives", 1, 300, "restart"),
    Row("store", "writes and deletes stored messages", 1, 600, "restart"),
    Row("behaviour", "states, daily totals and alerts of all cameras", 0.5, 60, "restart"),
    Row("health", "publishes health", 10, 120, "exit"),
    Row("throttle", "reads temperatures, limits the frame rate", 5, 60, "restart"),
    Row("gpu-wait", "looks for a GPU that is missing", 120, 120, "restart"),
    Row("engine-builds", "builds and tests the engine of one model", None, 21_600, "restart"),
    Row("commands", "executes one command", 0.2, 300, "restart"),
    Row("switches", "applies the timetables of profiles, ends what was switched for a time", 1, 60, "restart"),
    Row("fleet", "follows what the fleet wants of this device", 1, 300, "restart"),
    Row("discovery", "announces the device to Home Assistant once more", None, 60, "restart"),
    Row("prometheus", "serves metrics over HTTP", 0.5, 60, "restart"),
    Row("panel", "serves the technician's page", 1, 60, "restart"),
    Row("panel-pictures", "draws and encodes live pictures while somebody looks", 0.5, 60, "restart"),
    Row("evidence", "keeps the last pictures of cameras, writes stills and clips of alerts", 0.5, 120, "restart"),
    Row("terminal", "prints a line per camera", 5, 60, "restart"),
    Row("embedded-broker", "serves MQTT on loopback", 1, 60, "restart"),
    Row("stop-after", "stops the daemon at the end of --for", None, 10, "restart"),
    Row("stop-limit", "ends a process that did not stop in time", None, 10, "restart"),
)
ROWS = {row.name: row for row in TABLE}


class SupervisedThread:
    """Runs `step` again and again under a supervisor: an exception is logged once per kind, and the step begun again.

    `step` returns the seconds until the next round; None: that was the last. `detail` distinguishes threads of one row.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], float | None],
        *,
        first_s: float = 0.0,
        detail: str = "",
        clock: Callable[[], int] = monotonic_ns,
    ) -> None:
        """`first_s` is waited before the first round. Raises KeyError for a name that has no row."""
        self.row = ROWS[name]
        self.name = f"{name}-{detail}" if detail else name
        self.stopping = threading.Event()
        self.rounds = 0  # without an exception
        self.fatal: Fatal | None = None
        self.partial_error = ""  # set by a step that went on after a part of it failed
        self.step = step
        self._first_s = first_s
        self._wake = threading.Event()
        self._clock = clock
        self._deadline_ns: int | None = None  # for the next round, or the next `progress`
        self._error = ""  # of the last round
        self._failures_ns: deque[int] = deque(maxlen=MAX_RESTARTS)
        self._logged: set[tuple[type[BaseException], str]] = set()
        self._finished = False  # orderly: stopped, or nothing left to do
        self._thread = threading.Thread(target=self.run, name=self.name, daemon=True)

    def start(self) -> None:
        self._extend(self._first_s)
        with _LOCK:
            _RUNNING[id(self)] = self
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end after the present round, out of any wait. It is not watched any more."""
        self.stopping.set()
        self._wake.set()
        with _LOCK:
            _RUNNING.pop(id(self), None)

    def wake(self) -> None:
        """Begin the next round at once."""
        self._wake.set()

    def join(self, timeout_s: float) -> bool:
        """True when it has ended, or was never started."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def progress(self) -> None:
        """Called by a step that takes long, whenever it gets on: what had failed goes on again. Its own thread only."""
        self._error = ""
        self._extend(0.0)

    def trouble(self) -> Trouble | None:
        """None while it goes round."""
        overdue_ns = 0 if self._deadline_ns is None else self._clock() - self._deadline_ns
        if self._thread.ident is not None and not self._thread.is_alive() and not self._finished:
            return Trouble(thread=self.name, kind="dead", reason=self._error or "ended")
        if overdue_ns > 0:
            after_s = overdue_ns / NS_PER_S + (self.row.limit_s or 0.0)
            reason = f"no round for {after_s:.0f} s{f': {self._error}' if self._error else ''}"
            return Trouble(thread=self.name, kind="stuck", reason=reason)
        error = self._error or self.partial_error
        return Trouble(thread=self.name, kind="failing", reason=error) if error else None

    def run(self) -> None:
        """Rounds until it is stopped, or there are no more. The thread's own body."""
        wait_s: float | None = self._first_s
        while wait_s is not None and not self.stopping.is_set():
            self._wake.wait(wait_s)
            self._wake.clear()
            wait_s = None if self.stopping.is_set() else self._round()
        self._finished = True
        if self.fatal is None:
            self.stop()

    def _round(self) -> float | None:
        """One step; the wait before the next, None: no more."""
        try:
            wait_s = self.step()
        except Fatal as fatal:
            self.fatal = fatal
            return None
        except LoopEnded:  # the next daemon has a thread of its own
            return None
        except Exception as exc:  # the outermost supervisor of every thread
            return self._failed(exc)
        self._error = ""
        self.rounds += 1
        self._extend(wait_s or 0.0)
        return wait_s

    def _failed(self, exc: Exception) -> float | None:
        """Log it once per kind; the wait before the step is begun again."""
        self._error = f"{type(exc).__name__}: {exc}"
        kind = type(exc), _where(exc)
        if kind not in self._logged:
            self._logged.add(kind)
            log.error("thread %s: %s; it goes on", self.name, self._error, exc_info=exc)
        now_ns = self._clock()
        spent = len(self._failures_ns) == MAX_RESTARTS and now_ns - self._failures_ns[0] < ns(RESTART_WINDOW_S)
        wait_s = RESTART_WAIT_S
        if spent and self.row.on_death == "exit":
            self.fatal = ThreadDied(
                f"thread {self.name}: {self._error}, {MAX_RESTARTS + 1} times in {RESTART_WINDOW_S:g} s"
            )
            return None
        if spent:
            wait_s = RESTART_WINDOW_S - (now_ns - self._failures_ns[0]) / NS_PER_S
        self._failures_ns.append(now_ns)
        return wait_s

    def _extend(self, wait_s: float) -> None:
        if self.row.limit_s is not None:
            self._deadline_ns = self._clock() + ns(wait_s + self.row.limit_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A thread that does not go round as it should."""

    thread: str
    kind: Literal["dead", "stuck", "failing"]  # failing: begun again, and still within its limit
    reason: str

    def __str__(self) -> str:
        return f"thread {self.thread} {self.kind}: {self.reason}"


_LOCK = threading.RLock()  # a signal handler may start a thread while its own thread holds it
_RUNNING: dict[int, SupervisedThread] = {}  # started, and not asked to stop


def running() -> list[SupervisedThread]:
    with _LOCK:
        return list(_RUNNING.values())


def troubles() -> list[Trouble]:
    """Of all threads that are to go round; the watchdog is fed only while none is dead or stuck. Any thread."""
    found = [thread.trouble() for thread in running()]
    return [trouble for trouble in found if trouble is not None]


def raise_fatal() -> None:
    """Raise what was fatal in a thread. The loop's thread, between two frames."""
    for thread in running():
        if thread.fatal is not None:
            thread.stop()
            raise thread.fatal


def log_uncaught(args: threading.ExceptHookArgs) -> None:
    """`threading.excepthook`: the last net, for what no supervisor caught."""
    name = args.thread.name if args.thread is not None else "unknown"
    exc = args.exc_value or args.exc_type()
    log.critical("thread %s: died of %s: %s", name, type(exc).__name__, exc, exc_info=exc)


def _where(exc: BaseException) -> str:
    """Where it was raised: file and line."""
    frames = traceback.extract_tb(exc.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
