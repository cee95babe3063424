"""Less work when the box is too hot: the rate falls step by step, and comes back when it has been cool for a while.

Upstream: the board, looked at every few seconds from a thread of its own. Downstream: the intake, which hands out
fewer frames, and health, which says which step and why.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic_ns

from edged.config.tables.device import ThrottleConfig
from edged.device.sysfs import SysfsSensors
from edged.messages.health_schema import HardwareThrottling
from edged.runtime.threads import SupervisedThread
from edged.units import ns

log = logging.getLogger(__name__)

POLL_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleLevel:
    """Where the rate stands."""

    step: int  # 0: as the cameras give it
    max_fps: float | None
    reason: str
    since_ns: int  # CLOCK_MONOTONIC


class ThrottlePolicy:
    """Down at once and then after each `step_down_s` while it is hot, up after each `step_up_s` while it is cool; between the
    two temperatures it stays where it is. Pure."""

    def __init__(self, settings: ThrottleConfig, clock: Callable[[], int] = monotonic_ns) -> None:
        self._settings = settings
        self._clock = clock
        self._last_down_ns: int | None = None  # the last step down
        self._cool_since_ns: int | None = None  # since when it has been cool
        self.level = ThrottleLevel(step=0, max_fps=None, reason="", since_ns=clock())

    def update(self, hottest_c: float | None, throttling: HardwareThrottling | None) -> ThrottleLevel:
        now_ns = self._clock()
        if cause := self._reason(hottest_c, throttling):
            self._cool_since_ns = None
            if self._last_down_ns is None or now_ns - self._last_down_ns >= ns(self._settings.step_down_s):
                self._set_step(self.level.step + 1, cause, now_ns)
                self._last_down_ns = now_ns
        elif hottest_c is not None and hottest_c >= self._settings.cool_c:
            self._cool_since_ns = None
        elif self._cool_since_ns is None:
            self._cool_since_ns = now_ns
        elif now_ns - self._cool_since_ns >= ns(self._settings.step_up_s):
            self._set_step(self.level.step - 1, f"cool for {self._settings.step_up_s:g} s", now_ns)
            self._cool_since_ns = now_ns
        return self.level

    def _reason(self, hottest_c: float | None, throttling: HardwareThrottling | None) -> str:
        """Why it is too hot; empty when it is not."""
        if throttling is not None and throttling["active"]:
            return f"cooling at work: {', '.join(throttling['active'])}"
        if throttling is not None and throttling["over_current_events"]:
            return f"{throttling['over_current_events']} over-current events"
        hot = hottest_c is not None and hottest_c >= self._settings.hot_c
        return f"{hottest_c:.0f} °C in the hottest zone" if hot else ""

    def _set_step(self, level: int, reason: str, now_ns: int) -> None:
        steps = self._settings.steps_hz
        level = min(max(0, level), len(steps))
        if level != self.level.step:
            most_hz = steps[level - 1] if level else None
            self.level = ThrottleLevel(step=level, max_fps=most_hz, reason=reason, since_ns=now_ns)


class ThermalThrottle:
    """Looks at the board, and has the rate limited; `limit` is told frames per camera and second, None for all."""

    def __init__(
        self,
        settings: ThrottleConfig,
        set_max_rate: Callable[[float | None], None],
        sensors: SysfsSensors | None = None,
    ) -> None:
        self._policy = ThrottlePolicy(settings)
        self._set_max_rate = set_max_rate
        self._sensors = sensors or SysfsSensors()
        self._thread = SupervisedThread("throttle", self._step, first_s=POLL_S)
        self._enabled = bool(settings.steps_hz)

    @property
    def level(self) -> ThrottleLevel:
        return self._policy.level

    def start(self) -> None:
        if self._enabled:
            self._thread.start()

    def close(self) -> None:
        """Not waited for: it holds nothing, and a read of sysfs may take its time."""
        self._thread.stop()

    def poll(self) -> None:
        before, board = self.level, self._sensors
        board.rescan()
        now = self._policy.update(max(board.temperatures_c().values(), default=None), board.throttling())
        if now.step != before.step:
            rate = "every frame" if now.max_fps is None else f"{now.max_fps:g} frames per camera and second"
            log.warning("heat: %s; %s from now on", now.reason, rate)
            self._set_max_rate(now.max_fps)

    def _step(self) -> float:
        self.poll()
        return POLL_S
