"""Less work when the box is too hot: the rate falls step by step, and comes back when it has been cool for a while.

Upstream: the board, looked at every few seconds from a thread of its own. Downstream: the intake, which hands out
fewer frames, and health, which says which step and why.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic_ns

from edged.box.board import Board
from edged.box.settings import Heat
from edged.contract.bodies import Throttling
from edged.units import ns

log = logging.getLogger(__name__)

LOOK_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Where the rate stands."""

    level: int  # 0: as the cameras give it
    most_hz: float | None
    reason: str
    since_ns: int  # CLOCK_MONOTONIC


class Stairs:
    """Down at once and then after each `hold_s` while it is hot, up after each `calm_s` while it is cool; between the
    two temperatures it stays where it is. Pure."""

    def __init__(self, settings: Heat, clock: Callable[[], int] = monotonic_ns) -> None:
        self._settings = settings
        self._clock = clock
        self._down_ns: int | None = None  # the last step down
        self._calm_ns: int | None = None  # since when it has been cool
        self.step = Step(level=0, most_hz=None, reason="", since_ns=clock())

    def look(self, hottest_c: float | None, throttling: Throttling | None) -> Step:
        now_ns = self._clock()
        if cause := self._cause(hottest_c, throttling):
            self._calm_ns = None
            if self._down_ns is None or now_ns - self._down_ns >= ns(self._settings.hold_s):
                self._go(self.step.level + 1, cause, now_ns)
                self._down_ns = now_ns
        elif hottest_c is not None and hottest_c >= self._settings.cool_c:
            self._calm_ns = None
        elif self._calm_ns is None:
            self._calm_ns = now_ns
        elif now_ns - self._calm_ns >= ns(self._settings.calm_s):
            self._go(self.step.level - 1, f"cool for {self._settings.calm_s:g} s", now_ns)
            self._calm_ns = now_ns
        return self.step

    def _cause(self, hottest_c: float | None, throttling: Throttling | None) -> str:
        """Why it is too hot; empty when it is not."""
        if throttling is not None and throttling["now"]:
            return f"cooling at work: {', '.join(throttling['now'])}"
        if throttling is not None and throttling["events"]:
            return f"{throttling['events']} over-current events"
        hot = hottest_c is not None and hottest_c >= self._settings.hot_c
        return f"{hottest_c:.0f} °C in the hottest zone" if hot else ""

    def _go(self, level: int, reason: str, now_ns: int) -> None:
        steps = self._settings.steps_hz
        level = min(max(0, level), len(steps))
        if level != self.step.level:
            most_hz = steps[level - 1] if level else None
            self.step = Step(level=level, most_hz=most_hz, reason=reason, since_ns=now_ns)


class Warden:
    """Looks at the board, and has the rate limited; `limit` is told frames per camera and second, None for all."""

    def __init__(self, settings: Heat, limit: Callable[[float | None], None], board: Board | None = None) -> None:
        self._stairs = Stairs(settings)
        self._limit = limit
        self._board = board or Board()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heat", daemon=True)
        self._awake = bool(settings.steps_hz)

    @property
    def step(self) -> Step:
        return self._stairs.step

    def start(self) -> None:
        if self._awake:
            self._thread.start()

    def close(self) -> None:
        """Not waited for: it holds nothing, and a read of sysfs may take its time."""
        self._stop.set()

    def look(self) -> None:
        before, board = self.step, self._board
        board.look()
        now = self._stairs.look(max(board.temperatures_c().values(), default=None), board.throttling())
        if now.level != before.level:
            rate = "every frame" if now.most_hz is None else f"{now.most_hz:g} frames per camera and second"
            log.warning("heat: %s; %s from now on", now.reason, rate)
            self._limit(now.most_hz)

    def _run(self) -> None:
        while not self._stop.wait(LOOK_S):
            self.look()
