"""How the box, its cameras and its bus are doing: the body of the `health` message.

Upstream: meters, trends, ledgers, camera states, the kernel. Downstream: `message.health`. The health thread.
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

from edged.box.board import Board
from edged.box.heat import Step
from edged.box.meter import Reading, Spread
from edged.box.problems import Watchlist
from edged.box.trend import Figures
from edged.channel import CameraState
from edged.contract.bodies import Box, BusHealth, CameraHealth, Percentiles, Process, Slowed
from edged.contract.bodies import Problem as ProblemBody
from edged.frame import Result
from edged.ring import Ledger

Body = dict[str, Any]
Utc = Callable[[int], int]  # CLOCK_MONOTONIC in ns to UTC in ms

MB = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CameraView:
    """Everything known about one camera at one instant; also what the live table shows."""

    state: CameraState
    ledger: Ledger
    reading: Reading
    figures: Figures
    latest: Result | None
    losses_per_h: int
    reconnects_per_h: int
    rescue: str = ""  # what was asked of root for it, while it stays away


class Health:
    """Takes the pulse. CPU shares and over-current events are since the call before."""

    def __init__(
        self,
        disk: Path,
        utc: Utc,
        synced: Callable[[], bool],
        board: Board | None = None,
        step: Callable[[], Step | None] = lambda: None,
    ) -> None:
        """`disk` is where models are stored: its file system is watched. `step` is where the rate stands."""
        self._disk = disk
        self._utc = utc
        self._synced = synced
        self._board = board or Board()
        self._step = step
        self._watchlist = Watchlist()
        self._process = psutil.Process()
        self._started_s = time.monotonic()
        self._process.cpu_percent()
        psutil.cpu_percent()

    def __call__(self, cameras: Mapping[str, CameraView], bus: Mapping[str, Any], models: Mapping[str, Any]) -> Body:
        body: Body = {
            "uptime_s": round(time.monotonic() - self._started_s),
            "process": self._of_process(),
            "box": self._of_box(),
            "clock": {"synced": self._synced()},
            "cameras": {name: of_camera(view, self._utc) for name, view in cameras.items()},
            "bus": cast(BusHealth, dict(bus)),
            "models": dict(models),
        }
        return {**body, "problems": self._problems(body)}

    def _problems(self, body: Body) -> list[ProblemBody]:
        found = self._watchlist.update(body, time.monotonic_ns())
        return [
            {"what": problem.what, "where": problem.where, "detail": problem.detail, "since": self._utc(since_ns)}
            for problem, since_ns in found
        ]

    def _of_process(self) -> Process:
        with self._process.oneshot():
            return {
                "cpu_percent": self._process.cpu_percent(),
                "rss_mb": round(self._process.memory_info().rss / MB),
                "threads": self._process.num_threads(),
                "files": self._process.num_fds(),
            }

    def _of_box(self) -> Box:
        memory, board = psutil.virtual_memory(), self._board
        board.look()
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
            **of_disk(self._disk),
            "temperature_c": max(zones.values(), default=None),
            "temperatures_c": zones,
            "throttling": board.throttling(),
            "slowed": self._slowed(),
            "gpu": board.gpu(),
            "power_w": board.power_w(),
            "fan_percent": board.fan_percent(),
            "power_mode": board.power_mode(),
            "pressure_percent": board.pressure_percent(),
        }

    def _slowed(self) -> Slowed | None:
        step = self._step()
        if step is None or step.most_hz is None:
            return None
        return {
            "step": step.level,
            "most_hz": step.most_hz,
            "reason": step.reason,
            "since": self._utc(step.since_ns),
        }


def of_camera(view: CameraView, utc: Utc) -> CameraHealth:
    """One camera's entry."""
    reading, figures = view.reading, view.figures
    return {
        "state": view.state.phase,
        "reason": view.state.reason,
        "since": utc(view.state.since_ns),
        "last_frame": None if view.latest is None else utc(view.latest.captured_ns),
        "fps_in": round(reading.in_hz, 2),
        "fps": round(reading.processed_hz, 2),
        "fps_dropped": round(reading.dropped_hz, 2),
        "fps_mean": round(reading.mean_processed_hz, 2),
        "reconnects_per_h": view.reconnects_per_h,
        "losses_per_h": view.losses_per_h,
        "rescue": view.rescue,
        "subjects": reading.subjects,
        "latency_ms": None if reading.latency is None else _percentiles(reading.latency),
        "stage_ms": {stage: _percentiles(spread) for stage, spread in reading.stages.items()},
        "frames": cast(Any, asdict(view.ledger)),
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


class Disk(TypedDict):
    disk_free_mb: int | None
    disk_used_percent: float | None


def of_disk(path: Path) -> Disk:
    """The file system where `path` is, or will be; null when that cannot be told."""
    for place in (path, *path.absolute().parents):
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            usage = shutil.disk_usage(place)
            used = round(100 * usage.used / (usage.used + usage.free or 1), 1)
            return {"disk_free_mb": round(usage.free / MB), "disk_used_percent": used}
    return {"disk_free_mb": None, "disk_used_percent": None}


def _percentiles(spread: Spread) -> Percentiles:
    return {
        "p50": round(spread.p50_ms, 2),
        "p95": round(spread.p95_ms, 2),
        "p99": round(spread.p99_ms, 2),
        "max": round(spread.max_ms, 2),
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
