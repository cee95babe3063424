"""The board, its power and heat: what the kernel shows, and what becomes of it under the daemon's own load."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Iterator
from importlib import import_module
from itertools import cycle
from pathlib import Path
from statistics import mean

import psutil

from edged.device.sysfs import SysfsSensors
from edged.hardware_report.loops import RunFrame, open_loop, test_images
from edged.hardware_report.probe import Bench, ReportRow, Value, not_possible
from edged.units import BYTES_PER_MB
from engines import machine

LIBRARIES = ("tensorrt", "pycuda", "cv2", "onnxruntime", "numpy")
SAMPLE_PERIOD_S = 0.5
MODEL = Path("/proc/device-tree/model")


def identity(bench: Bench) -> Iterator[ReportRow]:
    """What this is; figures elsewhere in the report are worth nothing without it."""
    here, board = machine.detect(), SysfsSensors()
    board.rescan()
    yield ReportRow(
        subject="machine",
        figures={
            "board": MODEL.read_text().strip("\0") if MODEL.exists() else platform.machine(),
            "cores": os.cpu_count(),
            "memory_mb": round(psutil.virtual_memory().total / BYTES_PER_MB),
            "gpu": here.gpu,
            "sm": here.sm,
            "cuda_driver": here.driver,
            "l4t": here.l4t,
            "system": platform.platform(),
            "power_mode": board.power_mode(),
            "boot_reason": board.boot_reason(),
        },
    )
    yield ReportRow(
        subject="libraries", figures={"python": platform.python_version(), **dict(map(_version, LIBRARIES))}
    )


def nodes(bench: Bench) -> Iterator[ReportRow]:
    """Which of the figures of health this board shows, and under which names."""
    board = SysfsSensors()
    board.rescan()
    throttling, gpu = board.throttling(), board.gpu()
    shown: dict[str, Value] = {
        "temperatures": ", ".join(board.temperatures_c()) or None,
        "power rails": ", ".join(board.power_w()) or None,
        "cooling devices": ", ".join(board.coolers()) or None,
        "over-current counters": None if throttling is None else throttling["over_current_events"],
        "GPU load": None if gpu is None else gpu["load_percent"],
        "GPU clock": None if gpu is None else gpu["mhz"],
        "GPU memory": board.gpu_memory_mb(),
        "fan": board.fan_percent(),
        "power mode": board.power_mode(),
        "pressure": str(board.pressure_percent() or "") or None,
    }
    for name, value in shown.items():
        if value is None:
            yield not_possible(name, "the kernel shows none")
        else:
            yield ReportRow(subject=name, figures={"shown": value})


def heat(bench: Bench) -> Iterator[ReportRow]:
    """The whole loop as fast as it goes: what it draws, how warm it gets, and whether it keeps its rate."""
    board, seen = SysfsSensors(), BoardReadings()
    board.rescan()
    stop = threading.Event()
    watcher = threading.Thread(target=seen.sample_until, args=(board, stop), daemon=True)
    with open_loop(bench.settings) as run:
        watcher.start()
        done_s = _completion_times_s(run, bench.seconds)
    stop.set()
    watcher.join()
    third = bench.seconds / 3
    first = sum(at < third for at in done_s) / third
    last = sum(at > bench.seconds - third for at in done_s) / third
    yield ReportRow(
        subject="rate under load",
        figures={
            "seconds": bench.seconds,
            "frames_per_s_first_third": round(first, 1),
            "frames_per_s_last_third": round(last, 1),
            "kept": round(last / first, 3) if first else None,
            "rss_mb": round(psutil.Process().memory_info().rss / BYTES_PER_MB),
        },
    )
    yield from seen.rows()


class BoardReadings:
    """What the board showed meanwhile."""

    def __init__(self) -> None:
        self.zones_c: dict[str, list[float]] = {}
        self.rails_w: dict[str, list[float]] = {}
        self.gpu_mhz: list[float] = []
        self.cooling: set[str] = set()
        self.events: int | None = None

    def sample_until(self, board: SysfsSensors, stop: threading.Event) -> None:
        while not stop.wait(SAMPLE_PERIOD_S):
            for book, found in ((self.zones_c, board.temperatures_c()), (self.rails_w, board.power_w())):
                for name, value in found.items():
                    book.setdefault(name, []).append(value)
            if (gpu := board.gpu()) and gpu["mhz"] is not None:
                self.gpu_mhz.append(gpu["mhz"])
            if throttling := board.throttling():
                self.cooling.update(throttling["active"])
                self.events = (self.events or 0) + throttling["over_current_events"]

    def rows(self) -> Iterator[ReportRow]:
        for name, values in self.zones_c.items():
            yield ReportRow(subject=f"temperature {name}", figures={"first_c": values[0], "most_c": max(values)})
        if not self.zones_c:
            yield not_possible("temperature", "the kernel shows no thermal zone")
        for name, values in self.rails_w.items():
            yield ReportRow(subject=f"power {name}", figures={"mean_w": round(mean(values), 2), "most_w": max(values)})
        if not self.rails_w:
            yield not_possible("power", "the kernel shows no ina3221 rail")
        if self.gpu_mhz:
            yield ReportRow(
                subject="GPU clock", figures={"least_mhz": min(self.gpu_mhz), "most_mhz": max(self.gpu_mhz)}
            )
        else:
            yield not_possible("GPU clock", "the kernel shows no GPU under devfreq")
        if self.events is None:
            yield not_possible("throttling", "the kernel shows no cooling device and no over-current counter")
        else:
            held = ", ".join(sorted(self.cooling)) or "none"
            yield ReportRow(subject="throttling", figures={"cooling at work": held, "over_current_events": self.events})


def _completion_times_s(run: RunFrame, seconds: float) -> list[float]:
    """When each frame was done, from the start."""
    begun_s, done_s = time.monotonic(), []
    for picture in cycle(test_images()):
        run(picture)
        done_s.append(time.monotonic() - begun_s)
        if done_s[-1] >= seconds:
            return done_s
    return done_s


def _version(name: str) -> tuple[str, str]:
    try:
        return name, str(
            getattr(import_module(name), "__version__", "") or getattr(import_module(name), "VERSION", "?")
        )
    except ImportError:
        return name, "not installed"
