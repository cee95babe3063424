"""Whether frames of several cameras are worth a batch: engines by batch size on the GPU, both ways by the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from typing import Any

import numpy as np

from edged.adapters.cuda.engine import Engine, Tensor
from edged.adapters.cuda.gpu import Gpu
from edged.adapters.cuda.plane import BEGIN, END
from edged.units import NS_PER_MS
from tools.cuda.figures import Effort, Figures, Makers
from tools.cuda.timeline import WAITS, Timeline

CAMERAS = (2, 4, 8)
BATCHES = (1, *CAMERAS)
RUN = "run"

Run = Callable[[], float]  # its ms


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
    alone, batched = (int(1000 / (rate_hz * ms)) for ms in (frame_ms, max(frame_ms - gained_ms, 1e-3)))
    return alone, batched


def _measured(gpu: Gpu, engines: Mapping[str, Engine], effort: Effort) -> Figures:
    timeline = Timeline(gpu)
    clock: dict[tuple[str, str], Run] = {}
    held: dict[tuple[str, str], Run] = {}
    for engine in engines.values():
        _fill(gpu, engine.source)
    for n in CAMERAS:
        clock["one by one", str(n)] = partial(_clock_ms, gpu, engines, frames=n, batch=1)
        clock["one batch", str(n)] = partial(_clock_ms, gpu, engines, frames=n, batch=n)
    for name, engine in engines.items():
        held |= {(name, str(n)): partial(_gpu_ms, gpu, timeline, engine, n) for n in BATCHES}
    _by_turns(clock, effort.warm_up)  # first runs take memory, for which they may wait
    _by_turns(held, 1)
    if not timeline.held:
        return {"why_not": WAITS}
    found = _by_turns(clock | held, effort.rounds)
    return {
        "gpu_ms": {name: {str(n): found[name, str(n)] for n in BATCHES} for name in engines},
        "clock_ms": {str(n): {way: found[way, str(n)] for way in ("one by one", "one batch")} for n in CAMERAS},
    }


def _by_turns(runs: Mapping[tuple[str, str], Run], turns: int) -> dict[tuple[str, str], float]:
    times = [{key: run() for key, run in runs.items()} for _ in range(turns)]
    return {key: float(np.median([row[key] for row in times])) for key in runs}


def _gpu_ms(gpu: Gpu, timeline: Timeline, engine: Engine, batch: int) -> float:
    timeline.lap(BEGIN)
    engine.enqueue(batch)
    timeline.lap(RUN)
    timeline.lap(END)
    gpu.wait()
    return timeline.take()[RUN]


def _clock_ms(gpu: Gpu, engines: Mapping[str, Engine], *, frames: int, batch: int) -> float:
    """As the plane works: a batch's work goes onto the stream as a whole, and the host waits for it once."""
    began_ns = time.perf_counter_ns()
    for _ in range(frames // batch):
        for engine in engines.values():
            engine.enqueue(batch)
        gpu.wait()
    return (time.perf_counter_ns() - began_ns) / NS_PER_MS


def _fill(gpu: Gpu, tensor: Tensor) -> None:
    """With noise: zeros can take a GPU less time than pictures do."""
    values: Any = np.random.default_rng(1).standard_normal(tensor.shape).astype(tensor.dtype)
    gpu.wait()  # for the zeros
    gpu.cuda.memcpy_htod(tensor.memory.address, values)
