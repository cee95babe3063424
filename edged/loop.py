"""The data path: frames in, results out. The daemon's only per-frame loop; one thread, which owns the plane."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from edged.capture import Intake
from edged.errors import Degrade
from edged.frame import Frame, Result
from edged.pipeline import Pipeline

log = logging.getLogger(__name__)

TICK_S = 0.1  # longest look for a frame before looking at `stop` again

Sink = Callable[[Frame, Result], None]


def run(
    intake: Intake,
    pipelines: Mapping[str, Pipeline],
    sinks: Sequence[Sink],
    stop: threading.Event,
    between: Callable[[], bool] = lambda: False,
) -> None:
    """Until `stop`, or until every source has ended. Raises what is fatal; a frame given up is counted as failed.

    `between` two frames something else may be done; when it returns True there are no more frames.
    """
    faults = Faults()
    while not (stop.is_set() or intake.exhausted or between()):
        camera = ""
        try:
            with intake.lease(TICK_S) as frame:  # the image is ours inside this block only
                if frame is None:
                    continue
                camera = frame.camera
                result = pipelines[camera].run(frame)
                for sink in sinks:
                    sink(frame, result)
            faults.over(camera)
        except Degrade as fault:
            faults.begun(camera, fault)


class Faults:
    """Cameras whose frames are being given up: each is logged once going and once returning."""

    def __init__(self) -> None:
        self._lost: dict[str, int] = {}

    def begun(self, camera: str, fault: Degrade) -> None:
        if camera not in self._lost:
            log.warning("camera %s: %s", camera, fault)
        self._lost[camera] = self._lost.get(camera, 0) + 1

    def over(self, camera: str) -> None:
        if lost := self._lost.pop(camera, 0):
            log.info("camera %s: frames come through again, %d given up", camera, lost)
