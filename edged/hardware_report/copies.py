"""What it costs to move a camera's frame: within the host, and to and from the GPU in each way there is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from edged.frame import U8
from edged.hardware_report.probe import Bench, ReportRow, Value, not_possible
from edged.units import NS_PER_S
from engines import machine

FRAMES = {"720p BGR": (720, 1280, 3), "1080p BGR": (1080, 1920, 3), "1080p NV12": (1620, 1920), "4K NV12": (3240, 3840)}
RUNS = 30
PAGE_BYTES = 4096


def copies(bench: Bench) -> Iterator[ReportRow]:
    for name, shape in FRAMES.items():
        image = np.ones(shape, np.uint8)
        slot = np.empty_like(image)
        yield ReportRow(
            subject=f"{name}, host to host", figures=_copy_figures(partial(np.copyto, slot, image), image.nbytes)
        )
    yield from _gpu_copies()


def _gpu_copies() -> Iterator[ReportRow]:
    if machine.detect().gpu is None:
        yield not_possible("between host and GPU", "no GPU that its driver would speak of")
        return
    if find_spec("pycuda") is None:
        yield not_possible("between host and GPU", "pycuda is not installed; pip install 'edged[jetson]'")
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
    """Pageable, page-locked, and a mapping of memory that is not the driver's: how a V4L2 buffer gets there."""
    device = cuda.mem_alloc(image.nbytes)
    locked = cuda.pagelocked_empty(image.shape, np.uint8, mem_flags=cuda.host_alloc_flags.DEVICEMAP)
    np.copyto(locked, image)
    ways: dict[str, Callable[[], object]] = {
        "pageable to GPU": lambda: cuda.memcpy_htod(device, image),
        "page-locked to GPU": lambda: cuda.memcpy_htod(device, locked),
        "GPU to page-locked": lambda: cuda.memcpy_dtoh(locked, device),
    }
    for way, act in ways.items():
        yield ReportRow(subject=f"{name}, {way}", figures=_copy_figures(act, image.nbytes))
    shared = int(locked.base.get_device_pointer()) == locked.ctypes.data
    yield ReportRow(subject=f"{name}, mapped", figures={"one address on both sides": shared})
    own = _page_aligned(image.nbytes)
    try:
        registered = cuda.register_host_memory(own, cuda.mem_host_register_flags.DEVICEMAP)
        pointer = int(registered.base.get_device_pointer())
        registered.base.unregister()
        yield ReportRow(
            subject=f"{name}, registered", figures={"one address on both sides": pointer == own.ctypes.data}
        )
    except cuda.Error as refusal:
        yield not_possible(f"{name}, registered", str(refusal))
    device.free()


def _page_aligned(size: int) -> U8:
    """Memory of whole pages, as V4L2 wants it for USERPTR and CUDA for registering."""
    whole = -(-size // PAGE_BYTES) * PAGE_BYTES
    room = np.empty(whole + PAGE_BYTES, np.uint8)
    at = -room.ctypes.data % PAGE_BYTES
    return room[at : at + whole]


def _copy_figures(act: Callable[[], object], size: int) -> dict[str, Value]:
    times = []
    for _ in range(RUNS):
        begun_ns = time.perf_counter_ns()
        act()
        times.append(time.perf_counter_ns() - begun_ns)
    median_s = float(np.median(times)) / NS_PER_S
    return {"ms_p50": round(1e3 * median_s, 3), "gb_per_s": round(size / median_s / 1e9, 2)}
