"""The data path: frames in, results out. The daemon's only per-frame loop; one thread, which owns the plane."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from edged.capture.hub import CameraHub
from edged.errors import Degrade
from edged.frame import Frame, FrameResult
from edged.pipeline import Pipeline

log = logging.getLogger(__name__)

TICK_S = 0.1  # longest look for a frame before looking at `stop` again

Sink = Callable[[Frame, FrameResult], None]


def run(
    hub: CameraHub,
    pipelines: Mapping[str, Pipeline],
    sinks: Sequence[Sink],
    stop: threading.Event,
    between_frames: Callable[[], bool] = lambda: False,
) -> None:
    """Until `stop`, or until every source has ended. Raises what is fatal; a frame given up is counted as failed.

    `between_frames` two frames something else may be done; when it returns True there are no more frames.
    """
    faults = FrameFaults()
    while not (stop.is_set() or hub.exhausted or between_frames()):
        camera = ""
        try:
            with hub.lease(TICK_S) as frame:  # the image is ours inside this block only
                if frame is None:
                    continue
                camera = frame.camera
                result = pipelines[camera].run(frame)
                for sink in sinks:
                    sink(frame, result)
            faults.recovered(camera)
        except Degrade as fault:
            faults.failed(camera, fault)


class FrameFaults:
    """Cameras whose frames are being given up: each is logged once going and once returning."""

    def __init__(self) -> None:
        self._failed_frames: dict[str, int] = {}

    def failed(self, camera: str, fault: Degrade) -> None:
        if camera not in self._failed_frames:
            log.warning("camera %s: %s", camera, fault)
        self._failed_frames[camera] = self._failed_frames.get(camera, 0) + 1

    def recovered(self, camera: str) -> None:
        if lost := self._failed_frames.pop(camera, 0):
            log.info("camera %s: frames come through again, %d given up", camera, lost)
