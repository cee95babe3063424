"""Times of the CUDA backend on a GPU: engines alone, the whole loop, kernels compared with memory bandwidth.

Medians of one run; GPU times are measured with CUDA events, loop times with the clock of the host.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from edged.capture.frame_buffer import allocate_pages
from edged.frame import U8, Boxes, Frame, InferenceParams, QualityLimits
from edged.inference.cuda.backend import CudaBackend
from edged.inference.cuda.context import Gpu
from edged.inference.cuda.engine import Engine
from edged.inference.cuda.memory import DeviceBuffer
from edged.units import BYTES_PER_MB, NS_PER_MS, S_PER_MIN
from tools.bench.interleaved import fit_line

Figures = dict[str, Any]
FAINT = 0.002  # a threshold low enough to detect subjects in every image
KB = 1024


@dataclass(frozen=True, slots=True)
class Effort:
    """Numbers of frames, launches and repetitions."""

    frames: int = 300
    warm_up: int = 30
    launches: int = 200
    long: int = 10_000
    rounds: int = 50  # of the batching part, each size once per round
    turns: int = 20  # of the comparisons, ten frames each
    subjects: tuple[int, ...] = (1, 2, 4, 8, 16)
    copy_mb: int = 256


MakeEngine = Callable[[Gpu, Sequence[int] | None], Engine]  # takes batch sizes; None: those of the backend


class Makers:
    """Backends with fresh engines: `detector`, and the pose models by class."""

    def __init__(self, detector: MakeEngine, poses: Mapping[str, MakeEngine], image: bytes) -> None:
        self._detector, self._poses, self._image = detector, poses, image

    def backend(self, *, graphs: bool = True, copy: bool = False, batches: Sequence[int] | None = None) -> CudaBackend:
        gpu = Gpu()
        poses = {label: make(gpu, batches) for label, make in self._poses.items()}
        return CudaBackend(gpu, self._detector(gpu, None), poses, self._image, graphs=graphs, copy=copy)

    def engines(self, gpu: Gpu, batches: Sequence[int] | None = None) -> dict[str, Engine]:
        makers = {"detector": self._detector, **self._poses}
        return {name: make(gpu, batches) for name, make in makers.items()}


def engines_alone(makers: Makers, effort: Effort) -> Figures:
    """Return GPU time, ms, by engine and batch."""
    gpu = Gpu()
    found: Figures = {}
    for name, engine in makers.engines(gpu).items():
        found[name] = {str(n): on_gpu_ms(gpu, partial(engine.enqueue, n), effort) for n in engine.batches}
        engine.close()
    gpu.close()
    return found


def loops(makers: Makers, images: list[U8], effort: Effort) -> Figures:
    """Return loop times by number of subjects: as it is, without graphs, with a copy, subjects one by one.

    Each states whether graphs were used: an engine whose work cannot be captured never has graphs.
    """
    ways: dict[str, dict[str, Any]] = {
        "as it is": {},
        "without graphs": {"graphs": False},
        "frames copied": {"copy": True},
        "subjects one by one": {"batches": (1,)},
    }
    found: Figures = {}
    for way, options in ways.items():
        backend = makers.backend(**options)
        found[way] = {str(n): loop_ms(backend, images, n, effort) for n in effort.subjects}
        found[way]["ms_per_subject"] = fit_line({n: by["p50"] for n, by in found[way].items()})["slope"]
        found[way] |= {"graphs": backend.uses_graphs, "frames": backend.frame_access}
        backend.close()
    return found


def loop_ms(backend: CudaBackend, images: list[U8], subjects: int, effort: Effort) -> Figures:
    """Return percentiles of the time per frame, ms, CPU time of the host, and the numbers of poses."""
    params, slots = person_params(backend, subjects), in_frame_buffers(images)
    times, cpu_times, posed = [], [], set()
    for seq in range(effort.warm_up + effort.frames):
        frame = Frame(camera="bench", seq=seq, captured_ns=0, image=slots[seq % len(slots)])
        began_ns, busy_ns = time.perf_counter_ns(), time.thread_time_ns()
        result = backend.infer(frame, params, Boxes.empty(), detect=True)
        if seq >= effort.warm_up:
            times.append((time.perf_counter_ns() - began_ns) / NS_PER_MS)
            cpu_times.append((time.thread_time_ns() - busy_ns) / NS_PER_MS)
            posed.add(sum(points is not None for points in result.keypoints))
    p50, p95, p99 = (float(np.percentile(times, q)) for q in (50, 95, 99))
    return {"p50": p50, "p95": p95, "p99": p99, "host_ms": float(np.median(cpu_times)), "subjects": sorted(posed)}


def memory_growth(makers: Makers, images: list[U8], effort: Effort) -> Figures:
    """Return the growth of GPU and host memory over many frames."""
    backend, gpu = makers.backend(), Gpu()
    loop_ms(backend, images, 4, Effort(frames=effort.warm_up, warm_up=effort.warm_up))
    before = gpu.cuda.mem_get_info()[0], rss_mb()
    began_s = time.monotonic()
    loop_ms(backend, images, 4, Effort(frames=effort.long, warm_up=0))
    after = gpu.cuda.mem_get_info()[0], rss_mb()
    minutes = (time.monotonic() - began_s) / S_PER_MIN
    gpu.close()
    backend.close()
    return {
        "frames": effort.long,
        "minutes": round(minutes, 2),
        "gpu_bytes": before[0] - after[0],
        "host_mb": round(after[1] - before[1], 2),
    }


def bandwidth(makers: Makers, images: list[U8], effort: Effort) -> Figures:
    """Return GB/s of a copy in GPU memory, and of letterbox and crops by the bytes they must read and write."""
    backend = makers.backend(graphs=False)
    frame = Frame(camera="bench", seq=0, captured_ns=0, image=in_frame_buffers(images)[0])
    backend.infer(frame, person_params(backend, 8), Boxes.empty(), detect=True)
    gpu = backend.gpu
    size = effort.copy_mb * BYTES_PER_MB
    a, b = DeviceBuffer(gpu, size), DeviceBuffer(gpu, size)
    copied_ms = on_gpu_ms(gpu, lambda: gpu.cuda.memcpy_dtod_async(a.address, b.address, size, gpu.stream), effort)
    a.free()
    b.free()
    found: Figures = {"copy": per_s(2 * size, copied_ms)}
    for name, (launch, moved) in backend.benchmark_parts(frame.image.nbytes).items():
        found[name] = per_s(moved, on_gpu_ms(gpu, launch, effort))
    backend.close()
    return found


def on_gpu_ms(gpu: Gpu, enqueue: Callable[[], None], effort: Effort) -> float:
    """Return the mean GPU time of one launch, ms, over many in a row."""
    begin, end = gpu.cuda.Event(), gpu.cuda.Event()
    for _ in range(effort.warm_up):
        enqueue()
    begin.record(gpu.stream)
    for _ in range(effort.launches):
        enqueue()
    end.record(gpu.stream)
    end.synchronize()
    return float(begin.time_till(end)) / effort.launches


def per_s(size: int, ms: float) -> Figures:
    return {"bytes": size, "ms": ms, "gb_per_s": size / ms / 1e6 if ms else None}


def person_params(backend: CudaBackend, subjects: int) -> InferenceParams:
    """Return parameters that detect `subjects` people in any image, and no other class."""
    thresholds = np.where(np.array(backend.classes) == "person", FAINT, np.inf).astype(np.float32)
    return InferenceParams(thresholds=thresholds, max_subjects=subjects, quality_limits=QualityLimits())


def in_frame_buffers(images: list[U8]) -> list[U8]:
    """Return copies of the images in page-aligned memory, as in the buffers of a camera."""
    slots = [allocate_pages(image.shape) for image in images]
    for slot, image in zip(slots, images, strict=True):
        np.copyto(slot, image)
    return slots


def rss_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KB


def ratios(engines: Figures, loop: Figures, subjects: Sequence[int]) -> Figures:
    """Return loop time over engine time by number of subjects, with one pose model; None without engine time."""
    pose = next(name for name in engines if name != "detector")
    found: Figures = {}
    for n in subjects:
        batch = next((b for b in map(int, engines[pose]) if b >= n), max(map(int, engines[pose])))
        rounds = -(-n // batch)
        own = engines["detector"]["1"] + rounds * engines[pose][str(batch)]
        found[str(n)] = loop[str(n)]["p50"] / own if own else None
    return found
