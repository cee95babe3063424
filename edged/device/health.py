"""How the box, its cameras and its bus are doing: the body of the `health` message.

Upstream: meters, trends, ledgers, camera states, the kernel. Downstream: `messages.build.health`. The health thread.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypedDict, cast

import psutil

from edged.capture.frame_buffer import FrameCounts
from edged.capture.worker import CameraState
from edged.device.problems import ProblemTracker
from edged.device.rates import CameraRates, TimePercentiles
from edged.device.sysfs import SysfsSensors
from edged.device.throttle import ThrottleLevel
from edged.device.trends import TrendFigures
from edged.frame import FrameResult
from edged.messages import health_schema as schema
from edged.runtime import threads

Body = dict[str, Any]
Utc = Callable[[int], int]  # CLOCK_MONOTONIC in ns to UTC in ms

MB = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CameraOverview:
    """Everything known about one camera at one instant; also what the live table shows."""

    state: CameraState
    counts: FrameCounts
    rates: CameraRates
    trend: TrendFigures
    latest: FrameResult | None
    losses_per_h: int
    reconnects_per_h: int
    recovery: str = ""  # what was asked of root for it, while it stays away


class Health:
    """Takes the pulse. CPU shares and over-current events are since the call before."""

    def __init__(
        self,
        disk: Path,
        utc: Utc,
        synced: Callable[[], bool],
        sensors: SysfsSensors | None = None,
        throttle_level: Callable[[], ThrottleLevel | None] = lambda: None,
    ) -> None:
        """`disk` is where models are stored: its file system is watched. `throttle_level` is where the rate stands."""
        self._disk = disk
        self._utc = utc
        self._synced = synced
        self._sensors = sensors or SysfsSensors()
        self._throttle_level = throttle_level
        self._problem_tracker = ProblemTracker()
        self._process = psutil.Process()
        self._started_s = time.monotonic()
        self._process.cpu_percent()
        psutil.cpu_percent()

    def __call__(
        self, cameras: Mapping[str, CameraOverview], mqtt: Mapping[str, Any], models: Mapping[str, Any]
    ) -> Body:
        body: Body = {
            "uptime_s": round(time.monotonic() - self._started_s),
            "process": self._process_stats(),
            "device": self._device_stats(),
            "clock": {"synced": self._synced()},
            "cameras": {name: camera_health(view, self._utc) for name, view in cameras.items()},
            "mqtt": cast(schema.MqttHealth, dict(mqtt)),
            "models": dict(models),
        }
        return {**body, "problems": self._problems(body)}

    def _problems(self, body: Body) -> list[schema.Problem]:
        found = self._problem_tracker.update(body, time.monotonic_ns(), threads.troubles())
        return [
            {"code": problem.code, "source": problem.source, "detail": problem.detail, "since_ts": self._utc(since_ns)}
            for problem, since_ns in found
        ]

    def _process_stats(self) -> schema.Process:
        with self._process.oneshot():
            return {
                "cpu_percent": self._process.cpu_percent(),
                "rss_mb": round(self._process.memory_info().rss / MB),
                "threads": self._process.num_threads(),
                "files": self._process.num_fds(),
            }

    def _device_stats(self) -> schema.DeviceHealth:
        memory, board = psutil.virtual_memory(), self._sensors
        board.rescan()
        zones = board.temperatures_c()
        return {
            "uptime_s": round(time.clock_gettime(time.CLOCK_BOOTTIME)),
            "boot_reason": board.boot_reason(),
            "cpu_percent": psutil.cpu_percent(),
            "load": round(os.getloadavg()[0], 2),
            "memory_total_mb": round(memory.total / MB),
            "memory_free_mb": round(memory.available / MB),
            "swap_used_mb": round(psutil.swap_memory().used / MB),
            "gpu_memory_mb": board.gpu_memory_mb(),
            **disk_usage(self._disk),
            "temperature_c": max(zones.values(), default=None),
            "temperatures_c": zones,
            "hardware_throttling": board.throttling(),
            "throttle": self._throttle(),
            "gpu": board.gpu(),
            "power_w": board.power_w(),
            "fan_percent": board.fan_percent(),
            "power_mode": board.power_mode(),
            "pressure_percent": board.pressure_percent(),
        }

    def _throttle(self) -> schema.Throttle | None:
        step = self._throttle_level()
        if step is None or step.max_fps is None:
            return None
        return {
            "level": step.step,
            "max_fps": step.max_fps,
            "reason": step.reason,
            "since_ts": self._utc(step.since_ns),
        }


def camera_health(view: CameraOverview, utc: Utc) -> schema.CameraHealth:
    """One camera's entry."""
    reading, figures = view.rates, view.trend
    return {
        "state": view.state.phase,
        "reason": view.state.reason,
        "since_ts": utc(view.state.since_ns),
        "last_frame_ts": None if view.latest is None else utc(view.latest.captured_ns),
        "fps_in": round(reading.in_hz, 2),
        "fps": round(reading.processed_hz, 2),
        "fps_dropped": round(reading.dropped_hz, 2),
        "fps_mean": round(reading.mean_processed_hz, 2),
        "reconnects_per_h": view.reconnects_per_h,
        "losses_per_h": view.losses_per_h,
        "recovery": view.recovery,
        "subjects": reading.subjects,
        "latency_ms": None if reading.latency is None else _percentiles(reading.latency),
        "stage_ms": {stage: _percentiles(spread) for stage, spread in reading.stages.items()},
        "frames": cast(Any, asdict(view.counts)),
        "degraded_share": _rounded(figures.degraded_share, 3),
        "detections_per_min": round(figures.detections_per_min, 1),
        "confidence": _rounded(figures.confidence, 3),
        "tracks": {
            "alive": figures.alive,
            "new_per_min": round(figures.new_per_min, 2),
            "median_s": _rounded(figures.median_s, 1),
            "switches": figures.switches,
        },
    }


class DiskUsage(TypedDict):
    disk_free_mb: int | None
    disk_used_percent: float | None


def disk_usage(path: Path) -> DiskUsage:
    """The file system where `path` is, or will be; null when that cannot be told."""
    for place in (path, *path.absolute().parents):
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            usage = shutil.disk_usage(place)
            used = round(100 * usage.used / (usage.used + usage.free or 1), 1)
            return {"disk_free_mb": round(usage.free / MB), "disk_used_percent": used}
    return {"disk_free_mb": None, "disk_used_percent": None}


def _percentiles(spread: TimePercentiles) -> schema.Percentiles:
    return {
        "p50": round(spread.p50_ms, 2),
        "p95": round(spread.p95_ms, 2),
        "p99": round(spread.p99_ms, 2),
        "max": round(spread.max_ms, 2),
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
