"""The body of the `health` message: the device, its cameras, its broker.

Upstream: rates, trends, frame counts, camera states, the kernel. Downstream: `messages.build.health`.
Thread: the supervisor's.
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

from edged.capture.camera import CameraState
from edged.capture.frame_buffer import FrameCounts
from edged.device.problems import ProblemTracker
from edged.device.rates import CameraRates, TimePercentiles
from edged.device.sysfs import SysfsSensors
from edged.device.throttle import ThrottleLevel
from edged.device.trends import TrendFigures
from edged.frame import FrameResult
from edged.messages import health_schema as schema
from edged.messages.build import encode
from edged.runtime import threads
from edged.units import BYTES_PER_MB

TOPIC_BYTES = 128  # of the topic, at most
SHORT_DETAIL = 60  # letters of a problem's detail

Body = dict[str, Any]
Utc = Callable[[int], int]  # CLOCK_MONOTONIC in ns to UTC in ms


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CameraOverview:
    """One camera at one instant. `health` and the live table show it."""

    state: CameraState
    counts: FrameCounts
    rates: CameraRates
    trend: TrendFigures
    latest: FrameResult | None
    losses_per_h: int
    reconnects_per_h: int
    recovery: str = ""  # the last action that was requested for it while it was offline


class Health:
    """Makes health bodies. CPU shares and over-current events are since the call before."""

    def __init__(
        self,
        disk: Path,
        utc: Utc,
        synced: Callable[[], bool],
        sensors: SysfsSensors | None = None,
        throttle_level: Callable[[], ThrottleLevel | None] = lambda: None,
        *,
        certificates: Callable[[], Mapping[str, int]] = dict,
        blind: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        """`disk` is a path on the file system to watch: where models are stored.

        `blind`: cameras whose `person-down` would find nobody, and why.
        """
        self._disk = disk
        self._utc = utc
        self._synced = synced
        self._sensors = sensors or SysfsSensors()
        self._throttle_level = throttle_level
        self._certificates = certificates
        self._blind = blind
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
            "cameras": {name: camera_health(camera, self._utc) for name, camera in cameras.items()},
            "mqtt": cast(schema.MqttHealth, dict(mqtt)),
            "models": dict(models),
            "certificates_end_ts": dict(self._certificates()),
        }
        return {**body, "problems": self._problems(body)}

    def _problems(self, body: Body) -> list[schema.Problem]:
        now_ns = time.monotonic_ns()
        found = self._problem_tracker.update(
            body, now_ns, threads.troubles(), utc_ms=self._utc(now_ns), blind=self._blind()
        )
        return [
            {"code": problem.code, "source": problem.source, "detail": problem.detail, "since_ts": self._utc(since_ns)}
            for problem, since_ns in found
        ]

    def _process_stats(self) -> schema.Process:
        with self._process.oneshot():
            return {
                "cpu_percent": self._process.cpu_percent(),
                "rss_mb": round(self._process.memory_info().rss / BYTES_PER_MB),
                "threads": self._process.num_threads(),
                "open_fds": self._process.num_fds(),
            }

    def _device_stats(self) -> schema.DeviceHealth:
        memory, sensors = psutil.virtual_memory(), self._sensors
        sensors.rescan()
        zones = sensors.temperatures_c()
        return {
            "uptime_s": round(time.clock_gettime(time.CLOCK_BOOTTIME)),
            "boot_reason": sensors.boot_reason(),
            "cpu_percent": psutil.cpu_percent(),
            "load": round(os.getloadavg()[0], 2),
            "memory_total_mb": round(memory.total / BYTES_PER_MB),
            "memory_available_mb": round(memory.available / BYTES_PER_MB),
            "swap_used_mb": round(psutil.swap_memory().used / BYTES_PER_MB),
            "gpu_memory_mb": sensors.gpu_memory_mb(),
            **disk_usage(self._disk),
            "temperature_c": max(zones.values(), default=None),
            "temperatures_c": zones,
            "hardware_throttling": sensors.throttling(),
            "throttle": self._throttle(),
            "gpu": sensors.gpu(),
            "power_w": sensors.power_w(),
            "fan_percent": sensors.fan_percent(),
            "power_mode": sensors.power_mode(),
            "pressure_percent": sensors.pressure_percent(),
        }

    def _throttle(self) -> schema.Throttle | None:
        level = self._throttle_level()
        if level is None or level.max_fps is None:
            return None
        return {
            "level": level.step,
            "max_fps": level.max_fps,
            "reason": level.reason,
            "since_ts": self._utc(level.since_ns),
        }


def camera_health(camera: CameraOverview, utc: Utc) -> schema.CameraHealth:
    """The entry of one camera in `health`."""
    rates, trend = camera.rates, camera.trend
    return {
        "state": camera.state.phase,
        "reason": camera.state.reason,
        "since_ts": utc(camera.state.since_ns),
        "last_frame_ts": None if camera.latest is None else utc(camera.latest.captured_ns),
        "fps_in": round(rates.in_hz, 2),
        "fps": round(rates.processed_hz, 2),
        "fps_dropped": round(rates.dropped_hz, 2),
        "fps_mean": round(rates.mean_processed_hz, 2),
        "reconnects_per_h": camera.reconnects_per_h,
        "losses_per_h": camera.losses_per_h,
        "recovery": camera.recovery,
        "subjects": rates.subjects,
        "latency_ms": None if rates.latency is None else _percentiles(rates.latency),
        "stage_ms": {stage: _percentiles(times) for stage, times in rates.stages.items()},
        "frames": cast(Any, asdict(camera.counts) | {"held": camera.rates.held}),
        "degraded_share": _rounded(trend.degraded_share, 3),
        "detections_per_min": round(trend.detections_per_min, 1),
        "mean_detection_score": _rounded(trend.confidence, 3),
        "tracks": {
            "alive": trend.alive,
            "new_per_min": round(trend.new_per_min, 2),
            "median_life_s": _rounded(trend.median_s, 1),
            "id_switches": trend.switches,
        },
    }


def shortened(message: Body, max_bytes: int | None) -> Body:
    """The message without its largest parts, one after the other, until it fits; None: no limit."""
    for shorten in (_without_stages, _without_sensors, _without_cameras, _with_short_details):
        if max_bytes is None or len(encode(message)) + TOPIC_BYTES <= max_bytes:
            break
        message = shorten(message)
    return message


def _without_stages(message: Body) -> Body:
    cameras = {name: {**camera, "stage_ms": {}} for name, camera in message["cameras"].items()}
    return {**message, "cameras": cameras}


def _without_sensors(message: Body) -> Body:
    left_out: Body = {"temperatures_c": {}, "power_w": {}, "pressure_percent": None}
    return {**message, "device": {**message["device"], **left_out}}


def _without_cameras(message: Body) -> Body:
    return {**message, "cameras": {}}


def _with_short_details(message: Body) -> Body:
    problems = [{**problem, "detail": problem["detail"][:SHORT_DETAIL]} for problem in message["problems"]]
    models = {**message["models"], "missing": {}, "engines": {}}
    mqtt = {**message["mqtt"], "reason": "", "refused_topics": {}, "too_large": {}}
    return {**message, "problems": problems, "models": models, "mqtt": mqtt}


class DiskUsage(TypedDict):
    disk_free_mb: int | None
    disk_used_percent: float | None


def disk_usage(path: Path) -> DiskUsage:
    """Of the file system where `path` is, or would be; None when that cannot be read."""
    for folder in (path, *path.absolute().parents):
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            usage = shutil.disk_usage(folder)
            used = round(100 * usage.used / (usage.used + usage.free or 1), 1)
            return {"disk_free_mb": round(usage.free / BYTES_PER_MB), "disk_used_percent": used}
    return {"disk_free_mb": None, "disk_used_percent": None}


def _percentiles(times: TimePercentiles) -> schema.Percentiles:
    return {
        "p50": round(times.p50_ms, 2),
        "p95": round(times.p95_ms, 2),
        "p99": round(times.p99_ms, 2),
        "max": round(times.max_ms, 2),
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
