"""Whether frames of several cameras are worth a batch: engines by batch size on the GPU, both ways by the clock."""

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

Runs = Mapping[tuple[str, str], Callable[[], float]]  # ms of one, by way and cameras, or engine and batch


def batching(makers: Makers, effort: Effort) -> Figures:
    """Medians of a run, all by turns; or why there are none.

    `gpu_ms` by engine and batch: between CUDA events, all of the run on the stream before the GPU begins.
    `clock_ms` by number of cameras: from the first frame's detector to the last frame's keypoints, a frame of each
    camera at the same instant, one subject in each; what is a camera's own either way (letterbox, decode) left out.
    """
    with closing(Gpu()) as gpu:
        engines = makers.engines(gpu, BATCHES)
        try:
            return _measured(gpu, engines, effort)
        finally:
            for engine in engines.values():
                engine.close()


def saved_share(gpu_ms: Figures, cameras: int, rest_ms: float) -> float:
    """Of a frame's GPU time, what a batch of so many cameras saves; `rest_ms` of it are no engine's."""
    alone = sum(by_batch["1"] for by_batch in gpu_ms.values())
    batched = sum(by_batch[str(cameras)] for by_batch in gpu_ms.values()) / cameras
    return float((alone - batched) / (alone + rest_ms))


def served(clock_ms: Figures, cameras: int, frame_ms: float, rate_hz: float) -> tuple[int, int]:
    """How many cameras of one subject the loop keeps up with: a frame after the other, and in batches of so many."""
    gained_ms = (clock_ms[str(cameras)]["one by one"] - clock_ms[str(cameras)]["one batch"]) / cameras
    batched_ms = max(frame_ms - gained_ms, frame_ms / cameras)  # at best a batch costs what a frame does
    return int(1000 / (rate_hz * frame_ms)), int(1000 / (rate_hz * batched_ms))


def _measured(gpu: Gpu, engines: Mapping[str, Engine], effort: Effort) -> Figures:
    timeline = Timeline(gpu)
    for engine in engines.values():
        _fill(gpu, engine.input)
    enqueue = {n: partial(_enqueue, engines, n) for n in BATCHES}
    held = {
        (name, str(n)): partial(_gpu_ms, gpu, timeline, engine, n) for name, engine in engines.items() for n in BATCHES
    }
    _by_turns(_both_ways(gpu, enqueue), effort.warm_up)  # first runs take memory, for which they may wait
    _by_turns(held, 1)
    if not timeline.held:
        return {"why_not": WAITS}
    with ExitStack() as graphs:
        launch = {n: _as_the_plane(gpu, engines, enqueue[n], graphs) for n in BATCHES}
        found = _by_turns({**_both_ways(gpu, launch), **held}, effort.rounds)
    return {
        "gpu_ms": {name: {str(n): found[name, str(n)] for n in BATCHES} for name in engines},
        "clock_ms": {str(n): {way: found[way, str(n)] for way in ("one by one", "one batch")} for n in CAMERAS},
    }


def _both_ways(gpu: Gpu, launch: Mapping[int, Callable[[], None]]) -> Runs:
    one_by_one = {("one by one", str(n)): partial(_clock_ms, gpu, launch[1], n) for n in CAMERAS}
    one_batch = {("one batch", str(n)): partial(_clock_ms, gpu, launch[n], 1) for n in CAMERAS}
    return {**one_by_one, **one_batch}


def _as_the_plane(
    gpu: Gpu, engines: Mapping[str, Engine], enqueue: Callable[[], None], graphs: ExitStack
) -> Callable[[], None]:
    """How the backend hands work over: as one graph, where engines let it."""
    graph = gpu.capture(enqueue) if all(engine.capturable for engine in engines.values()) else None
    if graph is None:
        return enqueue
    graphs.callback(graph.free)
    return graph.launch


def _by_turns(runs: Runs, turns: int) -> dict[tuple[str, str], float]:
    times = [{key: run() for key, run in runs.items()} for _ in range(turns)]
    return {key: float(np.median([row[key] for row in times])) for key in runs}


def _gpu_ms(gpu: Gpu, timeline: Timeline, engine: Engine, batch: int) -> float:
    timeline.lap(BEGIN)
    engine.enqueue(batch)
    timeline.lap(RUN)
    timeline.lap(END)
    gpu.wait()
    return timeline.take()[RUN]


def _clock_ms(gpu: Gpu, launch: Callable[[], None], times: int) -> float:
    """The host waits for each."""
    began_ns = time.perf_counter_ns()
    for _ in range(times):
        launch()
        gpu.wait()
    return (time.perf_counter_ns() - began_ns) / NS_PER_MS


def _enqueue(engines: Mapping[str, Engine], batch: int) -> None:
    for engine in engines.values():
        engine.enqueue(batch)


def _fill(gpu: Gpu, tensor: Tensor) -> None:
    """With noise: zeros can take a GPU less time than pictures do."""
    values: Any = np.random.default_rng(1).standard_normal(tensor.shape).astype(tensor.dtype)
    gpu.wait()  # for the zeros
    gpu.cuda.memcpy_htod(tensor.memory.address, values)
