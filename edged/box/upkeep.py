"""What looks after the box while frames run: health, heat, cameras that stay away, a GPU that is late.

Upstream: the daemon's cameras, models and bus. Downstream: the `health` message, the intake's rate, systemd's units,
and the daemon's own end where only a new process helps. A thread for the pulse, one for heat, one for a late GPU.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

from edged.box.allocator import give_back
from edged.box.health import CameraView, Health
from edged.box.heat import Warden
from edged.box.late_gpu import LateGpu, missing
from edged.box.rescue import Budget, Rescue
from edged.bus import message, topics
from edged.bus.message import Stamps
from edged.config import Config
from edged.errors import Fatal
from edged.ports import Bus
from engines import machine

JOIN_S = 1.0
GIVE_BACK_S = 60.0  # between two times that free memory goes back to the kernel


class Upkeep:
    """`views` and `models` are asked at every pulse; `limit` is told how many frames per camera and second at most."""

    def __init__(
        self,
        settings: Config,
        stamps: Stamps,
        bus: Bus,
        *,
        views: Callable[[], Mapping[str, CameraView]],
        models: Callable[[], Mapping[str, Any]],
        limit: Callable[[float | None], None],
        port: Callable[[str], str | None],
    ) -> None:
        self._every_s = settings.publish.health_s
        self._stamps = stamps
        self._bus = bus
        self._views = views
        self._models = models
        self.rescue = Rescue(port, budget=Budget.of(settings.device))
        self._warden = Warden(settings.heat, limit)
        self._late_gpu = LateGpu(self._restart_for) if _gpu_missing(settings) else None
        self._health = Health(
            settings.models.store, stamps.utc_ms, lambda: stamps.synced, step=lambda: self._warden.step
        )
        self.fate: Fatal | None = None  # what only another process can do
        self.body: Mapping[str, Any] = {}  # of the last pulse
        self._closing = threading.Event()
        self._pulse = threading.Thread(target=self._run, name="health", daemon=True)

    def start(self) -> None:
        if self._late_gpu is not None:
            self._late_gpu.start()
        self._warden.start()
        self._pulse.start()

    @property
    def alive(self) -> bool:
        """Whether health is being published."""
        return self._pulse.is_alive()

    def adopt(self, settings: Config) -> None:
        self._every_s = settings.publish.health_s

    def close(self) -> None:
        """Once everything else has stopped: the health published last has every frame accounted for."""
        self._warden.close()
        if self._late_gpu is not None:
            self._late_gpu.close()
        self._closing.set()
        self._pulse.join(JOIN_S)

    def _run(self) -> None:
        """At once, then at every interval, and once more when everything has stopped."""
        stopped, gave_s = False, monotonic()
        while True:
            missed = self._late_gpu is not None and self._late_gpu.missed
            models = {**self._models(), "gpu_missing": missed}
            self.body = self._health(self._views(), self._bus.figures, models)
            self._bus.publish(topics.HEALTH.at(), message.health(self._stamps, self.body))
            if stopped:
                return
            if monotonic() - gave_s >= GIVE_BACK_S:
                give_back()
                gave_s = monotonic()
            stopped = self._closing.wait(self._every_s)

    def _restart_for(self, gpu: str) -> None:
        self.fate = Fatal(f"{gpu} answers now; the daemon ends, to be started again with it")


def _gpu_missing(settings: Config) -> bool:
    return settings.engines.tensorrt == "auto" and settings.compute.plane != "cpu" and missing(machine.here())
