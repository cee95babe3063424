"""Two cameras before a scene monitor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from time import monotonic_ns
from typing import Any

from edged.behaviour.horse.stall_monitors import StallMonitors
from edged.behaviour.monitor import CameraReading, Monitored, SceneMonitor
from edged.capture.camera import CameraState
from edged.config.tables.stall import StallConfig
from edged.frame import FrameResult, ImageQuality
from edged.messages import build
from edged.messages.build import HeaderFactory
from edged.messages.schema import CameraPhase
from edged.units import ns
from tests.support.clock import SyncedClock
from tests.support.memory_bus import MemoryBus
from tests.support.messages import result, subject

CLEAR = ImageQuality(brightness=100, contrast=100, sharpness=1)


class Stage:
    """Two cameras, `stall` and `yard`, that show what a test wants, polled every half second."""

    def __init__(self, folder: Path, stalls: Mapping[str, StallConfig] | None = None) -> None:
        headers = HeaderFactory(SyncedClock())
        self.bus = MemoryBus(lambda state: build.device_status(headers, state))
        self.readings: dict[str, CameraReading] = {}
        self.now_ns = monotonic_ns()
        self.failures: dict[str, str] = {}  # of the last poll
        self.monitor = SceneMonitor(
            self.bus,
            headers,
            lambda: self.readings,
            monitored({"stall": ("horse", "person"), "yard": ("horse",)}, stalls=stalls or {}),
            stalls=StallMonitors({}, 0.3, folder / "state"),
            state_file=folder / "state" / "days.json",
        )

    def show(self, seconds: float, *labels: str, phase: CameraPhase = "online", quality: ImageQuality = CLEAR) -> None:
        """`stall` shows one subject of each label; `yard` shows a horse."""
        for _ in range(round(2 * seconds)):
            self.now_ns += ns(0.5)
            yard = replace(detected(self.now_ns, CLEAR, "horse"), camera="yard")
            self.readings = {
                "stall": (status(phase, "unplugged"), detected(self.now_ns, quality, *labels)),
                "yard": (replace(status("online"), camera="yard"), yard),
            }
            self.failures = self.monitor.poll(self.now_ns)

    def published(self, topic: str, camera: str = "stall") -> list[Any]:
        return self.bus.messages_on(f"cam/{camera}/{topic}")


def monitored(classes: Mapping[str, tuple[str, ...]], daily_s: float = 900, **more: Any) -> Monitored:
    """These cameras; all of them open alerts, unless `more` says otherwise."""
    return Monitored(classes=classes, daily_s=daily_s, **{"alerting": tuple(classes), **more})


def status(phase: CameraPhase, reason: str = "") -> CameraState:
    return CameraState(camera="stall", phase=phase, reason=reason, since_ns=0)


def detected(done_ns: int, quality: ImageQuality, *labels: str) -> FrameResult:
    subjects = (subject(id=i, label=label) for i, label in enumerate(labels, 1))
    return result(*subjects, done_ns=done_ns, quality=quality)
