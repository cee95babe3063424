"""Where a frame's time goes on the GPU: CUDA events between the stages of whole frames, without graphs."""

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
from tools.cuda.figures import Effort, Figures, Makers, full, in_slots, loop_ms

HELD_S = 1.0  # at most: an engine that itself waits for the stream would wait for ever
WAITS = "an engine waits for the GPU while it is given its work, and hides what takes long"
HostFunction = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Timeline:
    """Takes the laps of a backend. The stream is held until a whole frame is on it: from one event to the next the
    GPU works, and never waits for the host to go on."""

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._whole = threading.Event()  # the frame is on the stream
        self._function = HostFunction(lambda _: self._hold())  # CUDA calls it: it must not go
        self._marks: list[tuple[str, Any]] = []
        self.held = True  # every time until everything was on the stream

    def lap(self, stage: str) -> None:
        if stage == BEGIN:
            self._whole.clear()
            self._gpu.driver_call("cuLaunchHostFunc", ctypes.c_void_p(self._gpu.stream.handle), self._function, None)
        self._marks.append((stage, self._gpu.cuda.Event()))
        self._marks[-1][1].record(self._gpu.stream)
        if stage == END:
            self._whole.set()

    def take(self) -> dict[str, float]:
        """Milliseconds by stage since the last time; the GPU has done it all. A frame may come in two goes."""
        spent: Counter[str] = Counter()
        for (_, begin), (stage, end) in pairwise(self._marks):
            if stage != BEGIN:
                spent[stage] += end.time_since(begin)
        self._marks.clear()
        return dict(spent)

    def _hold(self) -> None:
        self.held &= self._whole.wait(HELD_S)


def stages(makers: Makers, images: list[U8], effort: Effort) -> Figures:
    """Medians by number of subjects and stage; or why there are none."""
    with closing(makers.backend(graphs=False)) as backend:
        for n in effort.subjects:  # first runs take memory, for which they may wait
            loop_ms(backend, images, n, replace(effort, frames=1))
        timeline = Timeline(backend.gpu)
        backend.lap = timeline.lap
        found: Figures = {}
        for n in effort.subjects:
            rows = list(_taken(backend, timeline, images, n, effort.frames))
            if not timeline.held:
                return {"why_not": WAITS}
            found[str(n)] = {stage: float(np.median([row[stage] for row in rows])) for stage in rows[0]}
    return found


def _taken(
    backend: CudaBackend, timeline: Timeline, images: list[U8], subjects: int, frames: int
) -> Iterator[dict[str, float]]:
    """Of each frame but the first, before which the backend does not reckon with so many subjects."""
    params, slots = full(backend, subjects), in_slots(images)
    for seq in range(1 + frames):
        frame = Frame(camera=f"{subjects} subjects", seq=seq, captured_ns=0, image=slots[seq % len(slots)])
        backend.infer(frame, params, Boxes.empty(), detect=True)
        row = timeline.take()
        if not timeline.held:
            return
        if seq:
            yield row
