"""How the box, its cameras and its bus are doing: the body of the `health` message.

Upstream: meters, ledgers, camera states, the kernel. Downstream: `message.health`. A few milliseconds per call.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from edged.channel import CameraState
from edged.frame import Result
from edged.meter import Reading
from edged.ring import Ledger

Body = dict[str, Any]

MB = 1_000_000
THERMAL = Path("/sys/class/thermal")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CameraView:
    """Everything known about one camera at one instant; also what the live table shows."""

    state: CameraState
    ledger: Ledger
    reading: Reading
    latest: Result | None


class Health:
    """Takes the pulse. CPU shares are since the call before."""

    def __init__(self, disk: Path, thermal: Path = THERMAL) -> None:
        """`disk` is where models are stored: its file system is watched."""
        self._disk = disk
        self._thermal = thermal
        self._process = psutil.Process()
        self._started_s = time.monotonic()
        self._process.cpu_percent()
        psutil.cpu_percent()

    def __call__(
        self, cameras: Mapping[str, CameraView], bus: Mapping[str, Any], models: Mapping[str, Any]
    ) -> dict[str, Any]:
        return {
            "uptime_s": round(time.monotonic() - self._started_s),
            "process": self._of_process(),
            "box": self._of_box(),
            "cameras": {name: of_camera(view) for name, view in cameras.items()},
            "bus": dict(bus),
            "models": dict(models),
        }

    def _of_process(self) -> Body:
        with self._process.oneshot():
            return {
                "cpu_percent": self._process.cpu_percent(),  # 100: one core
                "rss_mb": round(self._process.memory_info().rss / MB),
                "threads": self._process.num_threads(),
                "files": self._process.num_fds(),
            }

    def _of_box(self) -> Body:
        memory = psutil.virtual_memory()
        return {
            "uptime_s": round(time.time() - psutil.boot_time()),
            "cpu_percent": psutil.cpu_percent(),  # 100: all cores
            "load": round(os.getloadavg()[0], 2),
            "memory_total_mb": round(memory.total / MB),
            "memory_free_mb": round(memory.available / MB),
            "swap_used_mb": round(psutil.swap_memory().used / MB),
            "disk_free_mb": disk_free_mb(self._disk),
            "temperature_c": hottest_c(self._thermal),
        }


def of_camera(view: CameraView) -> Body:
    """One camera's entry. Latency is from capture to result; null when nothing was processed lately."""
    reading = view.reading
    latency = reading.latency
    return {
        "state": view.state.phase,
        "reason": view.state.reason,
        "fps_in": round(reading.in_hz, 2),
        "fps": round(reading.processed_hz, 2),
        "fps_dropped": round(reading.dropped_hz, 2),
        "fps_mean": round(reading.mean_processed_hz, 2),
        "subjects": reading.subjects,
        "latency_ms": latency and {name[:-3]: round(value, 1) for name, value in asdict(latency).items()},
        "stage_ms": {stage: round(value, 2) for stage, value in reading.stage_ms.items()},
        "frames": asdict(view.ledger),
    }


def disk_free_mb(path: Path) -> int | None:
    """Free space for this user where `path` is, or will be; None when that cannot be told."""
    for place in (path, *path.absolute().parents):
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            return round(shutil.disk_usage(place).free / MB)
    return None


def hottest_c(thermal: Path = THERMAL) -> float | None:
    """The hottest zone of the chip; None where the kernel shows none. Zones that are switched off are passed over."""
    zones: list[float] = []
    for zone in thermal.glob("thermal_zone*/temp"):
        with suppress(OSError, ValueError):
            zones.append(int(zone.read_text()) / 1000)
    return round(max(zones), 1) if zones else None
