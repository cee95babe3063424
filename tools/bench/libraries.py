"""Our pipeline compared with other libraries, in turn, on the same frames with the same number of people."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from edged.capture.frame_buffer import allocate_pages
from edged.units import NS_PER_MS
from tools.bench.contenders import SESSIONS, Contender, EdgedPipeline, Rtmlib, keypoint_distances_px
from tools.bench.frames import BenchFrame, Scene
from tools.bench.interleaved import round_robin, summary, timed_ms

Contenders = Mapping[str, Contender]


class Turns:
    """The turns of one contender, one scene each; frames are freshly written, as by a capture thread."""

    def __init__(self, contender: Contender, scenes: Sequence[Scene], people: int) -> None:
        contender.set_max_people(people)
        self._contender, self._scenes, self._people = contender, scenes, people
        first = scenes[0][0]
        self._bgr, self._rgb = allocate_pages(first.bgr.shape), allocate_pages(first.rgb.shape)
        self.different_counts = 0  # frames with another number of poses
        self.cpu_s = self.wall_s = 0.0

    def __call__(self, turn: int) -> list[float]:
        times = []
        for frame in self._scenes[turn % len(self._scenes)]:
            np.copyto(self._bgr, frame.bgr)
            np.copyto(self._rgb, frame.rgb)
            fresh = BenchFrame(bgr=self._bgr, rgb=self._rgb, scene=frame.scene)
            cpu_s = time.process_time()
            times.append(timed_ms(partial(self._one, fresh)))
            self.cpu_s += time.process_time() - cpu_s
            self.wall_s += times[-1] / 1000
        return times

    def _one(self, frame: BenchFrame) -> None:
        self.different_counts += self._contender(frame) != self._people


def measure(contenders: Contenders, scenes: Sequence[Scene], people: int, turns: int) -> dict[str, Any]:
    """Return the times of all contenders with `people` in the frame, and the stages of our pipeline."""
    figures, our_ms = compare(contenders, scenes, people, turns)
    pipeline, rtmlib = contenders["edged"], contenders["rtmlib"]
    assert isinstance(pipeline, EdgedPipeline)  # noqa: S101
    assert isinstance(rtmlib, Rtmlib)  # noqa: S101
    return {
        **figures,
        **stage_breakdown(pipeline.stages[-len(our_ms) :], our_ms),
        "allocated_kb": allocated_kb(pipeline, scenes[0]),
        "keypoints_px": keypoint_distance_figures(pipeline, rtmlib, scenes),
    }


def compare(contenders: Contenders, scenes: Sequence[Scene], people: int, turns: int) -> tuple[dict[str, Any], Any]:
    """Return the figures of all contenders with `people` in the frame, and the times (N,) of our frames, ms."""
    blocks = {name: Turns(contender, scenes, people) for name, contender in contenders.items()}
    times = round_robin(blocks, turns)
    our_ms = np.array(times["edged"])
    figures = {
        "people": people,
        "runs": len(our_ms),
        "different_counts": {name: block.different_counts for name, block in blocks.items()},
        "ms": {name: summary(each) for name, each in times.items()},
        "speedup": {
            name: float(np.median(each) / np.median(our_ms)) for name, each in times.items() if name != "edged"
        },
        "longest": {name: _longer_ranks(our_ms, each) for name, each in times.items() if name != "edged"},
        "cores_used": {name: block.cpu_s / block.wall_s for name, block in blocks.items()},
    }
    return figures, our_ms


def keypoint_distance_figures(pipeline: EdgedPipeline, rtmlib: Rtmlib, scenes: Sequence[Scene]) -> dict[str, Any]:
    """Return statistics of the distances, px, between our keypoints and those of rtmlib in the same boxes."""
    distances = np.concatenate(
        [keypoint_distances_px(pipeline, rtmlib, frame) for scene in scenes for frame in scene[:2]]
    )
    return {
        "p99": float(np.percentile(distances, 99)),
        "max": float(distances.max()),
        "beyond_half_a_pixel": int((distances > 0.5).sum()),
        "count": len(distances),
    }


def stage_breakdown(stages: Sequence[Mapping[str, int]], times_ms: Any) -> dict[str, Any]:
    """Return medians of our frames: loop time over model time, host time, and time of every stage."""
    names = list(dict.fromkeys(name for frame in stages for name in frame))
    stage_ms = {name: np.array([frame.get(name, 0) for frame in stages]) / NS_PER_MS for name in names}
    sessions = sum(stage_ms[name] for name in SESSIONS if name in stage_ms)
    rest = times_ms - sum(stage_ms.values())
    return {
        "loop_per_sessions": float(np.median(times_ms / sessions)),
        "host_ms": float(np.median(times_ms - sessions)),
        "stage_ms": {**{name: float(np.median(each)) for name, each in stage_ms.items()},
                     "tracks and rest": float(np.median(rest))},
    }  # fmt: skip


def allocated_kb(work: Callable[[BenchFrame], object], scene: Scene) -> dict[str, float]:
    """Return memory of Python and numpy, kB, by tracemalloc, which does not see OpenCV and ONNX Runtime.

    `peak`: median over frames of the highest use during a frame; `retained`: mean growth per frame.
    """
    tracemalloc.start()
    try:
        for frame in scene:
            work(frame)
        before, peaks = tracemalloc.get_traced_memory()[0], []
        for frame in scene:
            tracemalloc.reset_peak()
            start = tracemalloc.get_traced_memory()[0]
            work(frame)
            peaks.append(tracemalloc.get_traced_memory()[1] - start)
        retained = (tracemalloc.get_traced_memory()[0] - before) / len(scene)
    finally:
        tracemalloc.stop()
    return {"peak": float(np.median(peaks)) / 1024, "retained": retained / 1024}


def _longer_ranks(our_ms: Any, their_ms: Sequence[float]) -> list[str]:
    """Return the percentiles at which our latency is longer."""
    own, other = summary(our_ms.tolist()), summary(their_ms)
    return [rank for rank in ("p50", "p95", "p99") if own[rank] > other[rank]]
