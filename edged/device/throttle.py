"""Limits the frame rate while the device is too hot: down step by step, and up again once it has been cool.

Upstream: the sensors, every POLL_S in a thread of its own. Downstream: the camera hub, which drops more frames, and
`health`, which reports the step and its reason.
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

POLL_S = 5.0  # between two readings; a heat sink takes minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleLevel:
    """The limit that applies now."""

    step: int  # of `steps_hz`, from 1; 0: no limit
    max_fps: float | None  # per camera; None: no limit
    reason: str
    since_ns: int  # CLOCK_MONOTONIC


class ThrottlePolicy:
    """Steps the rate down immediately, then every `step_down_s` while hot, and up every `step_up_s` while cool.

    Between `cool_c` and `hot_c` it stays where it is. Pure.
    """

    def __init__(self, settings: ThrottleConfig, clock: Callable[[], int] = monotonic_ns) -> None:
        self._settings = settings
        self._clock = clock
        self._last_down_ns: int | None = None
        self._cool_since_ns: int | None = None
        self.level = ThrottleLevel(step=0, max_fps=None, reason="", since_ns=clock())

    def update(self, hottest_c: float | None, throttling: HardwareThrottling | None) -> ThrottleLevel:
        """The limit that applies from now on."""
        now_ns = self._clock()
        if reason := self._reason(hottest_c, throttling):
            self._cool_since_ns = None
            if self._last_down_ns is None or now_ns - self._last_down_ns >= ns(self._settings.step_down_s):
                self._set_step(self.level.step + 1, reason, now_ns)
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
            return f"cooling is active: {', '.join(throttling['active'])}"
        if throttling is not None and throttling["over_current_events"]:
            return f"{throttling['over_current_events']} over-current events"
        hot = hottest_c is not None and hottest_c >= self._settings.hot_c
        return f"{hottest_c:.0f} °C in the hottest zone" if hot else ""

    def _set_step(self, step: int, reason: str, now_ns: int) -> None:
        rates = self._settings.steps_hz
        step = min(max(0, step), len(rates))
        if step != self.level.step:
            max_fps = rates[step - 1] if step else None
            self.level = ThrottleLevel(step=step, max_fps=max_fps, reason=reason, since_ns=now_ns)


class ThermalThrottle:
    """Reads the sensors and sets the rate: `set_max_rate` gets frames per camera and second, None for no limit."""

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
        """Does nothing without `steps_hz`."""
        if self._enabled:
            self._thread.start()

    def close(self) -> None:
        """Without a join: the thread holds nothing, and a read of sysfs may take long."""
        self._thread.stop()

    def poll(self) -> None:
        """Read the sensors once, and set the rate if the step changed."""
        before, sensors = self.level, self._sensors
        sensors.rescan()
        now = self._policy.update(max(sensors.temperatures_c().values(), default=None), sensors.throttling())
        if now.step != before.step:
            rate = "every frame" if now.max_fps is None else f"{now.max_fps:g} frames per camera and second"
            log.warning("throttle: %s; %s from now on", now.reason, rate)
            self._set_max_rate(now.max_fps)

    def _step(self) -> float:
        self.poll()
        return POLL_S
