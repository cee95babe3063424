"""Looks after the device while frames run: publishes health, throttles, recovers cameras, waits for a missing GPU.

Upstream: the daemon's cameras, models and bus. Downstream: the `health` message, the camera hub's rate, systemd units.
Threads: `health`, `throttle` and `gpu-wait` of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

from edged.config.certificates import BROKER, certificate_ends
from edged.config.tree import Config
from edged.device.gpu_wait import GpuWait, gpu_missing
from edged.device.health import CameraOverview, Health, shortened
from edged.device.problems import broker_problems
from edged.device.throttle import ThermalThrottle
from edged.messages import build, topics
from edged.messages.build import HeaderFactory
from edged.messages.bus import Bus
from edged.runtime.allocator import trim_heap
from edged.runtime.threads import SupervisedThread
from edged.units import MS_PER_S
from engines import machine

JOIN_S = 1.0  # for the thread to end
CHECK_BROKER_S = 5.0  # between two looks at what has changed between the broker and us
TRIM_HEAP_S = 60.0  # between two returns of free memory to the kernel


class DeviceSupervisor:
    """`views` and `models` are called for each health message; `set_max_rate` gets frames per camera and second."""

    def __init__(
        self,
        settings: Config,
        headers: HeaderFactory,
        bus: Bus,
        *,
        views: Callable[[], Mapping[str, CameraOverview]],
        models: Callable[[], Mapping[str, Any]],
        set_max_rate: Callable[[float | None], None],
        blind: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._settings = settings
        self._interval_s = settings.publish.health_interval_s
        self._headers = headers
        self._bus = bus
        self._views = views
        self._models = models
        self._throttle = ThermalThrottle(settings.throttle, set_max_rate)
        self._gpu_wait = GpuWait() if _gpu_missing(settings) else None
        self._health = Health(
            settings.models.store,
            headers.utc_ms,
            lambda: headers.synced,
            throttle_level=lambda: self._throttle.level,
            certificates=self._certificates,
            blind=blind,
        )
        self.latest_health: Mapping[str, Any] = {}  # the body published last
        self._due_s = self._trimmed_s = monotonic()
        self._broker_problems: set[str] = set()  # codes of those published last
        self._thread = SupervisedThread("health", self._step)

    def start(self) -> None:
        if self._gpu_wait is not None:
            self._gpu_wait.start()
        self._throttle.start()
        self._thread.start()

    def reconfigure(self, settings: Config) -> None:
        self._settings = settings
        self._interval_s = settings.publish.health_interval_s

    def close(self) -> None:
        """Call it once everything else has stopped: the last health message then accounts for every frame."""
        self._throttle.close()
        if self._gpu_wait is not None:
            self._gpu_wait.close()
        self._thread.stop()
        if self._thread.join(JOIN_S):
            self.publish()

    def publish(self) -> None:
        """Publish the health of this instant."""
        gpu_missing = self._gpu_wait is not None and self._gpu_wait.waiting
        models = {**self._models(), "gpu_missing": gpu_missing}
        stats = self._bus.stats
        self.latest_health = self._health(self._views(), stats, models)
        message = build.health(self._headers, self.latest_health)
        self._bus.publish(topics.HEALTH.at(), shortened(message, stats["max_message_bytes"]))
        self._due_s = monotonic() + self._interval_s
        self._broker_problems = _codes(stats)

    def _certificates(self) -> dict[str, int]:
        """In ms UTC, by the key that names the file; and the broker's."""
        end_s = self._bus.broker_certificate_end_s
        return certificate_ends(self._settings) | ({} if end_s is None else {BROKER: round(end_s * MS_PER_S)})

    def _step(self) -> float:
        """Publish when it is time, and at once when something changes between the broker and us."""
        if monotonic() >= self._due_s or _codes(self._bus.stats) != self._broker_problems:
            self.publish()
        if monotonic() - self._trimmed_s >= TRIM_HEAP_S:
            trim_heap()
            self._trimmed_s = monotonic()
        return min(CHECK_BROKER_S, max(0.0, self._due_s - monotonic()))


def _codes(mqtt: Mapping[str, Any]) -> set[str]:
    return {problem.code for problem in broker_problems(mqtt)}


def _gpu_missing(settings: Config) -> bool:
    return settings.engines.tensorrt == "auto" and settings.compute.backend != "cpu" and gpu_missing(machine.detect())
