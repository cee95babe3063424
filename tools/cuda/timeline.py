"""GPU time by stage: CUDA events between the stages of whole frames, without graphs."""

from __future__ import annotations

import ctypes
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from edged.frame import U8, Boxes, Frame
from edged.inference.cuda.backend import BEGIN, END, CudaBackend
from edged.inference.cuda.context import Gpu
from tools.cuda.figures import Effort, Figures, Makers, in_frame_buffers, loop_ms, person_params

MAX_HOLD_S = 1.0  # limit, as an engine that waits for the stream itself would never continue
WAITS = "an engine waits for the GPU during launch, so the time of stages cannot be measured"
HostFunction = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Timeline:
    """Records events between the stages of a backend. The stream is held until a whole frame is enqueued, so that
    the time between two events contains no waiting for the host."""

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._whole = threading.Event()  # the frame is enqueued
        self._function = HostFunction(lambda _: self._hold())  # called by CUDA: keep a reference
        self._marks: list[tuple[str, Any]] = []
        self.held = True  # the stream was always held until the whole frame was enqueued

    def lap(self, stage: str) -> None:
        if stage == BEGIN:
            self._whole.clear()
            self._gpu.driver_call("cuLaunchHostFunc", ctypes.c_void_p(self._gpu.stream.handle), self._function, None)
        self._marks.append((stage, self._gpu.cuda.Event()))
        self._marks[-1][1].record(self._gpu.stream)
        if stage == END:
            self._whole.set()

    def pop_times(self) -> dict[str, float]:
        """Return the times by stage, ms, since the last call; when the GPU is done. A frame may have two passes."""
        spent: Counter[str] = Counter()
        for (_, begin), (stage, end) in pairwise(self._marks):
            if stage != BEGIN:
                spent[stage] += end.time_since(begin)
        self._marks.clear()
        return dict(spent)

    def _hold(self) -> None:
        self.held &= self._whole.wait(MAX_HOLD_S)


def stages(makers: Makers, images: list[U8], effort: Effort) -> Figures:
    """Return median times, ms, by number of subjects and stage; or the reason why there are none."""
    with closing(makers.backend(graphs=False)) as backend:
        for n in effort.subjects:  # first runs allocate memory and may wait for it
            loop_ms(backend, images, n, replace(effort, frames=1))
        timeline = Timeline(backend.gpu)
        backend.lap = timeline.lap
        found: Figures = {}
        for n in effort.subjects:
            rows = list(_stage_times(backend, timeline, images, n, effort.frames))
            if not timeline.held:
                return {"why_not": WAITS}
            found[str(n)] = {stage: float(np.median([row[stage] for row in rows])) for stage in rows[0]}
    return found


def _stage_times(
    backend: CudaBackend, timeline: Timeline, images: list[U8], subjects: int, frames: int
) -> Iterator[dict[str, float]]:
    """Yield the times of each frame but the first, in which the backend expects fewer subjects."""
    params, slots = person_params(backend, subjects), in_frame_buffers(images)
    for seq in range(1 + frames):
        frame = Frame(camera=f"{subjects} subjects", seq=seq, captured_ns=0, image=slots[seq % len(slots)])
        backend.infer(frame, params, Boxes.empty(), detect=True)
        row = timeline.pop_times()
        if not timeline.held:
            return
        if seq:
            yield row
