"""The data path: frames in, results out. The daemon's only per-frame loop; its thread owns the pose backend.

Frames of several cameras are computed at once where the backend can; their results go to the sinks one by one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial

from edged.capture.hub import CameraHub
from edged.errors import Degrade, Fatal, NotWritten
from edged.frame import Frame, FrameResult
from edged.frame_crew import FrameCrew
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
    *,
    frames_at_once: Callable[[], int] = lambda: 1,
) -> None:
    """Until `stop` is set, every source has ended, or `between_frames` returns True.

    An exception while a frame is processed fails that frame, and is logged with its camera. Raises what is Fatal, and
    NotWritten.
    """
    faults = FrameFaults()
    with FrameCrew() as crew:
        while not (stop.is_set() or hub.exhausted or between_frames()):
            with hub.lease(TICK_S, frames_at_once()) as leases:  # the images are ours inside this block only
                computed = crew.run([partial(_computed, pipelines, lease.frame) for lease in leases])
                for lease, result in zip(leases, computed, strict=True):
                    lease.processed = faults.watch(lease.frame, partial(_pass_on, lease.frame, result, sinks))


def _computed(pipelines: Mapping[str, Pipeline], frame: Frame) -> FrameResult:
    return pipelines[frame.camera].run(frame)


def _pass_on(frame: Frame, computed: Future[FrameResult], sinks: Sequence[Sink]) -> None:
    result = computed.result()
    for sink in sinks:
        sink(frame, result)


class FrameFaults:
    """Cameras whose frames fail: each is logged once when it begins, and once when it ends."""

    def __init__(self) -> None:
        self._failed_frames: dict[str, int] = {}

    def watch(self, frame: Frame, process: Callable[[], None]) -> bool:
        """Whether `process` went through. Raises what is Fatal, and NotWritten."""
        try:
            process()
        except (Fatal, NotWritten):  # NotWritten: somebody waits for that file, and for nothing else
            raise
        except Exception as error:  # supervisor of the frames: a fault of one camera is not the others'
            self.failed(frame.camera, error)
            return False
        self.recovered(frame.camera)
        return True

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
            log.info("camera %s: frames are processed again; %d failed", camera, failed)
