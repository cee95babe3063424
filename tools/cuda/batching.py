"""Does batching frames of several cameras pay? GPU time of the engines by batch size, and wall time of both ways."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

import numpy as np

from edged.inference.cuda.backend import BEGIN, END
from edged.inference.cuda.context import Gpu
from edged.inference.cuda.engine import Engine, Tensor
from edged.units import NS_PER_MS
from tools.cuda.figures import Effort, Figures, Makers
from tools.cuda.timeline import WAITS, Timeline

CAMERAS = (2, 4, 8)
BATCHES = (1, *CAMERAS)
RUN = "run"

Runs = Mapping[tuple[str, str], Callable[[], float]]  # measure one run, ms; by way and cameras, or engine and batch


def batching(makers: Makers, effort: Effort) -> Figures:
    """Return medians, ms, measured in turn; or the reason why there are none.

    `gpu_ms` by engine and batch: between CUDA events, the whole run enqueued before the GPU starts.
    `clock_ms` by number of cameras: from the first detector to the last keypoints, one frame of each camera at the
    same time, one subject in each; without letterbox and decoding, which are the same either way.
    """
    with closing(Gpu()) as gpu:
        engines = makers.engines(gpu, BATCHES)
        try:
            return _measured(gpu, engines, effort)
        finally:
            for engine in engines.values():
                engine.close()


def saved_share(gpu_ms: Figures, cameras: int, rest_ms: float) -> float:
    """Return the share of the GPU time per frame that a batch of `cameras` saves; `rest_ms` is outside the engines."""
    alone = sum(by_batch["1"] for by_batch in gpu_ms.values())
    batched = sum(by_batch[str(cameras)] for by_batch in gpu_ms.values()) / cameras
    return float((alone - batched) / (alone + rest_ms))


def camera_capacity(clock_ms: Figures, cameras: int, frame_ms: float, rate_hz: float) -> tuple[int, int]:
    """Return how many cameras with one subject the loop can process: one by one, and in batches of `cameras`."""
    gained_ms = (clock_ms[str(cameras)]["one by one"] - clock_ms[str(cameras)]["one batch"]) / cameras
    batched_ms = max(frame_ms - gained_ms, frame_ms / cameras)  # a batch takes at least the time of one frame
    return int(1000 / (rate_hz * frame_ms)), int(1000 / (rate_hz * batched_ms))


def _measured(gpu: Gpu, engines: Mapping[str, Engine], effort: Effort) -> Figures:
    timeline = Timeline(gpu)
    for engine in engines.values():
        _fill(gpu, engine.input)
    enqueue = {n: partial(_enqueue, engines, n) for n in BATCHES}
    held = {
        (name, str(n)): partial(_gpu_ms, gpu, timeline, engine, n) for name, engine in engines.items() for n in BATCHES
    }
    _medians(_both_ways(gpu, enqueue), effort.warm_up)  # first runs allocate memory and may wait for it
    _medians(held, 1)
    if not timeline.held:
        return {"why_not": WAITS}
    with ExitStack() as graphs:
        launch = {n: _as_the_backend(gpu, engines, enqueue[n], graphs) for n in BATCHES}
        found = _medians({**_both_ways(gpu, launch), **held}, effort.rounds)
    return {
        "gpu_ms": {name: {str(n): found[name, str(n)] for n in BATCHES} for name in engines},
        "clock_ms": {str(n): {way: found[way, str(n)] for way in ("one by one", "one batch")} for n in CAMERAS},
    }


def _both_ways(gpu: Gpu, launch: Mapping[int, Callable[[], None]]) -> Runs:
    one_by_one = {("one by one", str(n)): partial(_clock_ms, gpu, launch[1], n) for n in CAMERAS}
    one_batch = {("one batch", str(n)): partial(_clock_ms, gpu, launch[n], 1) for n in CAMERAS}
    return {**one_by_one, **one_batch}


def _as_the_backend(
    gpu: Gpu, engines: Mapping[str, Engine], enqueue: Callable[[], None], graphs: ExitStack
) -> Callable[[], None]:
    """Return how the backend launches work: as one CUDA graph, if all engines can be captured."""
    graph = gpu.capture(enqueue) if all(engine.capturable for engine in engines.values()) else None
    if graph is None:
        return enqueue
    graphs.callback(graph.free)
    return graph.launch


def _medians(runs: Runs, turns: int) -> dict[tuple[str, str], float]:
    times = [{key: run() for key, run in runs.items()} for _ in range(turns)]
    return {key: float(np.median([row[key] for row in times])) for key in runs}


def _gpu_ms(gpu: Gpu, timeline: Timeline, engine: Engine, batch: int) -> float:
    timeline.lap(BEGIN)
    engine.enqueue(batch)
    timeline.lap(RUN)
    timeline.lap(END)
    gpu.wait()
    return timeline.pop_times()[RUN]


def _clock_ms(gpu: Gpu, launch: Callable[[], None], times: int) -> float:
    """Return the wall time of `times` launches, ms; the host waits after each."""
    began_ns = time.perf_counter_ns()
    for _ in range(times):
        launch()
        gpu.wait()
    return (time.perf_counter_ns() - began_ns) / NS_PER_MS


def _enqueue(engines: Mapping[str, Engine], batch: int) -> None:
    for engine in engines.values():
        engine.enqueue(batch)


def _fill(gpu: Gpu, tensor: Tensor) -> None:
    """Fill a tensor with noise: a GPU can be faster on zeros than on images."""
    values: Any = np.random.default_rng(1).standard_normal(tensor.shape).astype(tensor.dtype)
    gpu.wait()  # until the tensor has been zeroed
    gpu.cuda.memcpy_htod(tensor.memory.address, values)
