"""Our pipeline beside its peers: the same frames and people, turn by turn."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from edged.capture.frame_buffer import allocate_pages
from edged.units import NS_PER_MS
from tools.bench.contenders import SESSIONS, Contender, Ours, Rtmlib, disagreement_px
from tools.bench.frames import Scene, Shown
from tools.bench.turns import by_turns, summary, timed_ms

Contenders = Mapping[str, Contender]


class Turns:
    """One contender's turns, a scene each, in frames just written, as a capture thread leaves them in the ring."""

    def __init__(self, contender: Contender, scenes: Sequence[Scene], people: int) -> None:
        contender.limit(people)
        self._contender, self._scenes, self._people = contender, scenes, people
        first = scenes[0][0]
        self._bgr, self._rgb = allocate_pages(first.bgr.shape), allocate_pages(first.rgb.shape)
        self.uneven = 0  # frames in which another number was posed
        self.cpu_s = self.wall_s = 0.0

    def __call__(self, turn: int) -> list[float]:
        times = []
        for shown in self._scenes[turn % len(self._scenes)]:
            np.copyto(self._bgr, shown.bgr)
            np.copyto(self._rgb, shown.rgb)
            fresh = Shown(bgr=self._bgr, rgb=self._rgb, scene=shown.scene)
            cpu_s = time.process_time()
            times.append(timed_ms(partial(self._one, fresh)))
            self.cpu_s += time.process_time() - cpu_s
            self.wall_s += times[-1] / 1000
        return times

    def _one(self, shown: Shown) -> None:
        self.uneven += self._contender(shown) != self._people


def measure(contenders: Contenders, scenes: Sequence[Scene], people: int, turns: int) -> dict[str, Any]:
    """What each costs at so many people, and what ours is made of."""
    figures, mine = beside(contenders, scenes, people, turns)
    ours, theirs = contenders["edged"], contenders["rtmlib"]
    assert isinstance(ours, Ours)  # noqa: S101
    assert isinstance(theirs, Rtmlib)  # noqa: S101
    return {
        **figures,
        **made_of(ours.stages[-len(mine) :], mine),
        "allocated_kb": allocated_kb(ours, scenes[0]),
        "keypoints_px": apart_px(ours, theirs, scenes),
    }


def beside(contenders: Contenders, scenes: Sequence[Scene], people: int, turns: int) -> tuple[dict[str, Any], Any]:
    """What "edged" and every other costs at so many people; and the ms of all of our frames."""
    blocks = {name: Turns(contender, scenes, people) for name, contender in contenders.items()}
    times = by_turns(blocks, turns)
    mine = np.array(times["edged"])
    figures = {
        "people": people,
        "runs": len(mine),
        "uneven": {name: block.uneven for name, block in blocks.items()},
        "ms": {name: summary(each) for name, each in times.items()},
        "speedup": {name: float(np.median(each) / np.median(mine)) for name, each in times.items() if name != "edged"},
        "longest": {name: _longer(mine, each) for name, each in times.items() if name != "edged"},
        "cores_used": {name: block.cpu_s / block.wall_s for name, block in blocks.items()},
    }
    return figures, mine


def apart_px(ours: Ours, theirs: Rtmlib, scenes: Sequence[Scene]) -> dict[str, Any]:
    """How far our keypoints lie from rtmlib's, of the same boxes."""
    apart = np.concatenate([disagreement_px(ours, theirs, shown) for scene in scenes for shown in scene[:2]])
    return {
        "p99": float(np.percentile(apart, 99)),
        "max": float(apart.max()),
        "beyond_half_a_pixel": int((apart > 0.5).sum()),
        "count": len(apart),
    }


def made_of(stages: Sequence[Mapping[str, int]], times_ms: Any) -> dict[str, Any]:
    """Our own frames: the share of the models, the host's part, and every stage."""
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


def allocated_kb(work: Callable[[Shown], object], scene: Scene) -> dict[str, float]:
    """Python's and numpy's memory, as tracemalloc sees it (OpenCV's and ONNX Runtime's own it does not).

    `peak` is the most a frame holds above what was there before it, median; `kept` what a frame leaves behind.
    """
    tracemalloc.start()
    try:
        for shown in scene:
            work(shown)
        before, peaks = tracemalloc.get_traced_memory()[0], []
        for shown in scene:
            tracemalloc.reset_peak()
            start = tracemalloc.get_traced_memory()[0]
            work(shown)
            peaks.append(tracemalloc.get_traced_memory()[1] - start)
        kept = (tracemalloc.get_traced_memory()[0] - before) / len(scene)
    finally:
        tracemalloc.stop()
    return {"peak": float(np.median(peaks)) / 1024, "kept": kept / 1024}


def _longer(mine: Any, theirs: Sequence[float]) -> list[str]:
    """The ranks at which our latency is the longer one."""
    own, other = summary(mine.tolist()), summary(theirs)
    return [rank for rank in ("p50", "p95", "p99") if own[rank] > other[rank]]
