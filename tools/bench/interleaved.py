"""Measuring in turn, so that other load affects all contenders alike; percentiles and fitted lines of the times."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from edged.units import NS_PER_MS

# Between turns: idle threads of ONNX Runtime spin for 0.1 s and slow down the next contender by two thirds.
PAUSE_S = 0.25
RANKS = {"p50": 50, "p95": 95, "p99": 99, "max": 100}

Block = Callable[[int], Sequence[float]]  # runs turn n; returns the time of every frame, ms


def round_robin(blocks: Mapping[str, Block], turns: int) -> dict[str, list[float]]:
    """Return the times of each block, ms, over `turns` after a warm-up turn; the order rotates every round."""
    names, times = list(blocks), {name: list[float]() for name in blocks}
    for block in blocks.values():
        block(0)
    for turn in range(turns):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            time.sleep(PAUSE_S)
            times[name] += blocks[name](turn)
    return times


def timed_ms(work: Callable[[], object]) -> float:
    start_ns = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - start_ns) / NS_PER_MS


def summary(times_ms: Sequence[float]) -> dict[str, float]:
    ranks = {name: float(np.percentile(times_ms, rank)) for name, rank in RANKS.items()}
    return {**ranks, "frames_per_s": 1000 * len(times_ms) / sum(times_ms)}


def fit_line(costs: Mapping[str, float]) -> dict[str, float]:
    """Return slope, value at 0 and R² of a line fitted by least squares; the keys are x as text."""
    x, y = np.array([float(key) for key in costs]), np.array(list(costs.values()))
    slope, start = np.polyfit(x, y, 1)
    left = float(((y - slope * x - start) ** 2).sum())
    spread = float(((y - y.mean()) ** 2).sum())
    return {"slope": float(slope), "at_0": float(start), "r2": 1 - left / spread if spread else 1.0}
