"""The data path: frames in, results out. The daemon's only per-frame loop; one thread, which owns the pose backend."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from edged.capture.hub import CameraHub
from edged.errors import Degrade, Fatal, NotWritten
from edged.frame import Frame, FrameResult
from edged.pipeline import Pipeline

log = logging.getLogger(__name__)

TICK_S = 0.1  # longest wait for a frame, before `stop` is looked at again

Sink = Callable[[Frame, FrameResult], None]


def run(
    hub: CameraHub,
    pipelines: Mapping[str, Pipeline],
    sinks: Sequence[Sink],
    stop: threading.Event,
    between_frames: Callable[[], bool] = lambda: False,
) -> None:
    """Until `stop` is set, every source has ended, or `between_frames` returns True.

    An exception while a frame is processed fails that frame, and is logged with its camera. Raises what is Fatal, and
    NotWritten.
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
        except (Fatal, NotWritten):  # NotWritten: somebody waits for that file, and for nothing else
            raise
        except Exception as error:  # supervisor of the frames: a fault of one camera is not the others'
            if not camera:
                raise
            faults.failed(camera, error)


class FrameFaults:
    """Cameras whose frames fail: each is logged once when it begins, and once when it ends."""

    def __init__(self) -> None:
        self._failed_frames: dict[str, int] = {}

    def failed(self, camera: str, error: Exception) -> None:
        """`Degrade` is logged in a line; anything else is a bug, and logged with its traceback."""
        if camera not in self._failed_frames:
            if isinstance(error, Degrade):
                log.warning("camera %s: %s", camera, error)
            else:
                log.error("camera %s: %s: %s; its frames fail", camera, type(error).__name__, error, exc_info=error)
        self._failed_frames[camera] = self._failed_frames.get(camera, 0) + 1

    def recovered(self, camera: str) -> None:
        if failed := self._failed_frames.pop(camera, 0):
            log.info("camera %s: frames come through again, %d given up", camera, failed)
