"""Frame rates and latencies of one camera over the last seconds, in fixed memory.

Upstream: every result, from the loop. Downstream: `health` and the live table, from other threads.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic_ns
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edged.frame import FrameResult
from edged.units import NS_PER_MS, NS_PER_S, ns

CAPACITY = 4096  # results remembered: 10 s at 240 Hz, and a margin
NOT_RUN = np.int64(-1)  # time of a stage that did not run for that result
SAMPLE_NS = ns(0.25)  # between two samples of the frame counts


class Counts(Protocol):
    """Counts of what became of every captured frame."""

    @property
    def captured(self) -> int: ...
    @property
    def processed(self) -> int: ...
    @property
    def dropped(self) -> int: ...
    @property
    def failed(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePercentiles:
    """Percentiles over the results in the window."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraRates:
    """One camera at one instant; rates are over the window."""

    in_hz: float  # frames captured
    processed_hz: float
    dropped_hz: float
    mean_processed_hz: float  # since start
    held: int = 0  # results without inference since start, because nothing moved
    subjects: int  # in the latest result; 0 when it is older than the window
    latency: TimePercentiles | None  # capture to result; None: no results
    stages: dict[str, TimePercentiles]


class RateMeter:
    """`record` from the loop, `read` from any thread."""

    def __init__(self, window_s: float = 10.0, clock: Callable[[], int] = monotonic_ns) -> None:
        self._window_ns = ns(window_s)
        self._clock = clock
        self._lock = threading.Lock()
        self._start_ns = clock()
        self._recorded = self._held = 0
        self._done_ns = np.zeros(CAPACITY, np.int64)
        self._latency_ns = np.zeros(CAPACITY, np.int64)
        self._stage_ns: dict[str, NDArray[np.int64]] = {}
        self._latest: FrameResult | None = None
        self._samples: deque[tuple[int, int, int, int]] = deque(maxlen=2 + self._window_ns // SAMPLE_NS)

    def record(self, result: FrameResult, **stage_ns: int) -> None:
        """Add a result, and the times of stages that ran after it."""
        times_ns = {**result.stage_ns, **stage_ns}
        with self._lock:
            index = self._recorded % CAPACITY
            self._recorded += 1
            self._held += result.held
            self._done_ns[index] = result.done_ns
            self._latency_ns[index] = result.done_ns - result.captured_ns
            for stage in times_ns.keys() - self._stage_ns.keys():
                self._stage_ns[stage] = np.full(CAPACITY, NOT_RUN)
            for stage, times in self._stage_ns.items():
                times[index] = times_ns.get(stage, NOT_RUN)
            self._latest = result

    @property
    def latest(self) -> FrameResult | None:
        return self._latest

    def read(self, counts: Counts) -> CameraRates:
        """The figures of this instant. `counts` are the camera's now."""
        with self._lock:
            now_ns = self._clock()
            recent = self._recent(now_ns)
            in_hz, processed_hz, dropped_hz = self._rates(now_ns, counts)
            return CameraRates(
                in_hz=in_hz,
                processed_hz=processed_hz,
                dropped_hz=dropped_hz,
                mean_processed_hz=_per_s(counts.processed, now_ns - self._start_ns),
                held=self._held,
                subjects=len(self._latest.subjects) if self._latest and len(recent) else 0,
                latency=_percentiles(self._latency_ns[recent]),
                stages=self._stages(recent),
            )

    def _recent(self, now_ns: int) -> NDArray[np.int64]:
        """(N,) indices of the results in the window."""
        filled = min(self._recorded, CAPACITY)
        return np.flatnonzero(self._done_ns[:filled] > now_ns - self._window_ns)

    def _rates(self, now_ns: int, counts: Counts) -> tuple[float, float, float]:
        """Frames captured, processed and dropped per second, since the last sample before the window."""
        now = (now_ns, counts.captured, counts.processed, counts.dropped)
        if not self._samples:
            self._samples.append((self._start_ns, 0, 0, 0))
        while len(self._samples) > 1 and self._samples[1][0] <= now_ns - self._window_ns:
            self._samples.popleft()
        then = self._samples[0]
        if now_ns - self._samples[-1][0] >= SAMPLE_NS:
            self._samples.append(now)
        in_hz, processed_hz, dropped_hz = (
            _per_s(b - a, now_ns - then[0]) for a, b in zip(then[1:], now[1:], strict=True)
        )
        return in_hz, processed_hz, dropped_hz

    def _stages(self, recent: NDArray[np.int64]) -> dict[str, TimePercentiles]:
        spreads = {stage: _percentiles(times[recent]) for stage, times in self._stage_ns.items()}
        return {stage: spread for stage, spread in spreads.items() if spread is not None}


def _per_s(events: int, over_ns: int) -> float:
    return events * NS_PER_S / over_ns if over_ns > 0 else 0.0


def _percentiles(times_ns: NDArray[np.int64]) -> TimePercentiles | None:
    times_ns = times_ns[times_ns != NOT_RUN]
    if not len(times_ns):
        return None
    p50, p95, p99, most = np.percentile(times_ns, (50, 95, 99, 100)) / NS_PER_MS
    return TimePercentiles(p50_ms=float(p50), p95_ms=float(p95), p99_ms=float(p99), max_ms=float(most))
