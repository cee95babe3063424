"""The board: what it is, its sensors, its power and heat under the daemon's load, and the cost of moving frames."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import psutil

from edged.capture.frame_buffer import allocate_pages
from edged.device.sysfs import SysfsSensors
from edged.frame import U8
from edged.hardware_report.models import RunFrame, open_loop, sample_images
from edged.hardware_report.probe import Bench, ReportRow, Sampling, Value, not_possible
from edged.units import BYTES_PER_MB, MS_PER_S, NS_PER_S
from engines import machine

LIBRARIES = ("tensorrt", "pycuda", "cv2", "onnxruntime", "numpy")
SAMPLE_PERIOD_S = 0.5  # between two readings of the sensors
BOARD_MODEL = Path("/proc/device-tree/model")
FRAMES = {"720p BGR": (720, 1280, 3), "1080p BGR": (1080, 1920, 3), "1080p NV12": (1620, 1920), "4K NV12": (3240, 3840)}
COPIES = 30  # of each frame
BYTES_PER_GB = 1e9


def identity(bench: Bench) -> Iterator[ReportRow]:
    """The board, its GPU and software: without them no other figure of the report means anything."""
    gpu, sensors = machine.detect(), SysfsSensors()
    sensors.rescan()
    yield ReportRow(
        subject="machine",
        figures={
            "board": BOARD_MODEL.read_text().strip("\0") if BOARD_MODEL.exists() else platform.machine(),
            "cores": os.cpu_count(),
            "memory_mb": round(psutil.virtual_memory().total / BYTES_PER_MB),
            "gpu": gpu.gpu,
            "sm": gpu.sm,
            "cuda_driver": gpu.driver,
            "l4t": gpu.l4t,
            "system": platform.platform(),
            "power_mode": sensors.power_mode(),
            "boot_reason": sensors.boot_reason(),
        },
    )
    versions = {"python": platform.python_version(), **{name: _version(name) for name in LIBRARIES}}
    yield ReportRow(subject="libraries", figures=versions)


def nodes(bench: Bench) -> Iterator[ReportRow]:
    """The health sensors that this board's kernel has, and their names."""
    sensors = SysfsSensors()
    sensors.rescan()
    throttling, gpu = sensors.throttling(), sensors.gpu()
    values: dict[str, Value] = {
        "temperatures": ", ".join(sensors.temperatures_c()) or None,
        "power rails": ", ".join(sensors.power_w()) or None,
        "cooling devices": ", ".join(sensors.coolers()) or None,
        "over-current counters": None if throttling is None else throttling["over_current_events"],
        "GPU load": None if gpu is None else gpu["load_percent"],
        "GPU clock": None if gpu is None else gpu["mhz"],
        "GPU memory": sensors.gpu_memory_mb(),
        "fan": sensors.fan_percent(),
        "power mode": sensors.power_mode(),
        "pressure": str(sensors.pressure_percent() or "") or None,
    }
    for name, value in values.items():
        if value is None:
            yield not_possible(name, "the kernel has none")
        else:
            yield ReportRow(subject=name, figures={"value": value})


def heat(bench: Bench) -> Iterator[ReportRow]:
    """The whole loop at full speed: its rate at the begin and at the end, temperatures, power and throttling."""
    readings = BoardReadings()
    with open_loop(bench.settings) as run, Sampling(readings.sample, SAMPLE_PERIOD_S):
        done_s = _completion_times_s(run, bench.seconds)
    third_s = bench.seconds / 3
    first_hz = sum(done < third_s for done in done_s) / third_s
    last_hz = sum(done > bench.seconds - third_s for done in done_s) / third_s
    yield ReportRow(
        subject="rate under load",
        figures={
            "seconds": bench.seconds,
            "frames_per_s_first_third": round(first_hz, 1),
            "frames_per_s_last_third": round(last_hz, 1),
            "rate_kept": round(last_hz / first_hz, 3) if first_hz else None,
            "rss_mb": round(psutil.Process().memory_info().rss / BYTES_PER_MB),
        },
    )
    yield from readings.rows()


class BoardReadings:
    """What the board's sensors showed during a measurement."""

    def __init__(self) -> None:
        self._sensors = SysfsSensors()
        self._sensors.rescan()
        self._zones_c: dict[str, list[float]] = {}
        self._rails_w: dict[str, list[float]] = {}
        self._gpu_mhz: list[float] = []
        self._cooling: set[str] = set()
        self._over_current_events: int | None = None

    def sample(self) -> None:
        """Read all sensors once."""
        for series, values in (
            (self._zones_c, self._sensors.temperatures_c()),
            (self._rails_w, self._sensors.power_w()),
        ):
            for name, value in values.items():
                series.setdefault(name, []).append(value)
        if (gpu := self._sensors.gpu()) and gpu["mhz"] is not None:
            self._gpu_mhz.append(gpu["mhz"])
        if throttling := self._sensors.throttling():
            self._cooling.update(throttling["active"])
            self._over_current_events = (self._over_current_events or 0) + throttling["over_current_events"]

    def rows(self) -> Iterator[ReportRow]:
        for name, values in self._zones_c.items():
            yield ReportRow(subject=f"temperature {name}", figures={"first_c": values[0], "max_c": max(values)})
        if not self._zones_c:
            yield not_possible("temperature", "the kernel has no thermal zone")
        for name, values in self._rails_w.items():
            yield ReportRow(subject=f"power {name}", figures={"mean_w": round(mean(values), 2), "max_w": max(values)})
        if not self._rails_w:
            yield not_possible("power", "the kernel has no ina3221 rail")
        if self._gpu_mhz:
            yield ReportRow(subject="GPU clock", figures={"min_mhz": min(self._gpu_mhz), "max_mhz": max(self._gpu_mhz)})
        else:
            yield not_possible("GPU clock", "the kernel has no GPU under devfreq")
        if self._over_current_events is None:
            yield not_possible("throttling", "the kernel has no cooling device and no over-current counter")
        else:
            active = ", ".join(sorted(self._cooling)) or "none"
            figures: dict[str, Value] = {"active_cooling": active, "over_current_events": self._over_current_events}
            yield ReportRow(subject="throttling", figures=figures)


def _completion_times_s(run: RunFrame, seconds: float) -> list[float]:
    """When each frame was done, in s from the start."""
    begun_s = time.monotonic()
    done_s: list[float] = []
    for image in cycle(sample_images()):
        run(image)
        done_s.append(time.monotonic() - begun_s)
        if done_s[-1] >= seconds:
            break
    return done_s


def _version(name: str) -> str:
    try:
        module = import_module(name)
    except ImportError:
        return "not installed"
    return str(getattr(module, "__version__", "") or getattr(module, "VERSION", "?"))


def copies(bench: Bench) -> Iterator[ReportRow]:
    """The time to copy a camera's frame: within the host, and to and from the GPU in every way."""
    for name, shape in FRAMES.items():
        image, out = np.ones(shape, np.uint8), np.empty(shape, np.uint8)
        figures = _copy_figures(partial(np.copyto, out, image), image.nbytes)
        yield ReportRow(subject=f"{name}, host to host", figures=figures)
    yield from _gpu_copies()


def _gpu_copies() -> Iterator[ReportRow]:
    if machine.detect().gpu is None:
        yield not_possible("between host and GPU", "no GPU that its driver reports")
        return
    if find_spec("pycuda") is None:
        yield not_possible(
            "between host and GPU",
            "pycuda is not installed; install edged again, or in a clone: pip install '.[jetson]'",
        )
        return
    cuda: Any = import_module("pycuda.driver")
    cuda.init()
    context = cuda.Device(0).retain_primary_context()
    context.push()
    try:
        for name, shape in FRAMES.items():
            yield from _gpu_copies_of(cuda, name, np.ones(shape, np.uint8))
    finally:
        context.pop()
        context.detach()


def _gpu_copies_of(cuda: Any, name: str, image: U8) -> Iterator[ReportRow]:
    """Copies of pageable and page-locked memory, and whether mapped and registered memory needs no copy."""
    device = cuda.mem_alloc(image.nbytes)
    locked = cuda.pagelocked_empty(image.shape, np.uint8, mem_flags=cuda.host_alloc_flags.DEVICEMAP)
    np.copyto(locked, image)
    ways: dict[str, Callable[[], object]] = {
        "pageable to GPU": lambda: cuda.memcpy_htod(device, image),
        "page-locked to GPU": lambda: cuda.memcpy_htod(device, locked),
        "GPU to page-locked": lambda: cuda.memcpy_dtoh(locked, device),
    }
    for way, copy in ways.items():
        yield ReportRow(subject=f"{name}, {way}", figures=_copy_figures(copy, image.nbytes))
    same = int(locked.base.get_device_pointer()) == locked.ctypes.data
    yield ReportRow(subject=f"{name}, mapped", figures={"same_address": same})
    pages = allocate_pages(image.shape)  # as a V4L2 driver fills it
    try:
        registered = cuda.register_host_memory(pages, cuda.mem_host_register_flags.DEVICEMAP)
        pointer = int(registered.base.get_device_pointer())
        registered.base.unregister()
        yield ReportRow(subject=f"{name}, registered", figures={"same_address": pointer == pages.ctypes.data})
    except cuda.Error as error:
        yield not_possible(f"{name}, registered", str(error))
    device.free()


def _copy_figures(copy: Callable[[], object], size: int) -> dict[str, Value]:
    times_ns = []
    for _ in range(COPIES):
        begun_ns = time.perf_counter_ns()
        copy()
        times_ns.append(time.perf_counter_ns() - begun_ns)
    median_s = float(np.median(times_ns)) / NS_PER_S
    return {"ms_p50": round(MS_PER_S * median_s, 3), "gb_per_s": round(size / median_s / BYTES_PER_GB, 2)}
