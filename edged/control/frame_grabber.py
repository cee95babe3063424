"""A still: the next frame of a camera whose poses are published, kept for whoever asked.

Upstream the loop and the reporter. Downstream the command `snapshot`, in its own thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from edged.frame import U8, Frame, FrameResult
from edged.inference.colour import to_bgr
from edged.messages.schema import Poses


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GrabbedFrame:
    image: U8  # ours
    result: FrameResult
    poses: Poses  # the message that tells of this very frame


class FrameGrabber:
    """`published` shows the last poses message of a camera, `hurry` has its next frame published."""

    def __init__(self, last_poses: Callable[[str], Poses | None], publish_next: Callable[[str], None]) -> None:
        self._last_poses = last_poses
        self._publish_next = publish_next
        self._requests: dict[str, SimpleQueue[GrabbedFrame]] = {}

    def grab(self, camera: str, limit_s: float) -> GrabbedFrame | None:
        """Wait for one; None when none came in time. One asks at a time."""
        answer: SimpleQueue[GrabbedFrame] = SimpleQueue()
        self._requests[camera] = answer
        self._publish_next(camera)
        try:
            return answer.get(timeout=limit_s)
        except Empty:
            return None
        finally:
            self._requests.pop(camera, None)

    def on_result(self, frame: Frame, result: FrameResult) -> None:
        """On the compute thread, after the reporter."""
        if self._requests and (answer := self._requests.get(frame.camera)) is not None:
            poses = self._last_poses(frame.camera)
            if poses is not None and poses["frame"] == frame.seq:
                answer.put(
                    GrabbedFrame(image=to_bgr(frame.image, frame.pixel_format).copy(), result=result, poses=poses)
                )
                self._requests.pop(frame.camera, None)
