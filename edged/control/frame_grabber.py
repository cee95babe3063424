"""The next published frame of a camera, copied for a command.

Upstream the loop, after the publisher. Downstream the command `snapshot`, on its own thread.
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
    image: U8  # (H, W, 3) BGR; a copy
    result: FrameResult
    poses: Poses  # the message of this very frame


class FrameGrabber:
    """`last_poses` gives the last poses message of a camera; `publish_next` has its next frame published."""

    def __init__(self, last_poses: Callable[[str], Poses | None], publish_next: Callable[[str], None]) -> None:
        self._last_poses = last_poses
        self._publish_next = publish_next
        self._requests: dict[str, SimpleQueue[GrabbedFrame]] = {}  # by camera

    @property
    def waiting(self) -> list[str]:
        """Cameras of which a frame is waited for."""
        return list(self._requests)

    def grab(self, camera: str, limit_s: float) -> GrabbedFrame | None:
        """The frame; None when none is published in time. One caller at a time; not the loop's thread."""
        reply: SimpleQueue[GrabbedFrame] = SimpleQueue()
        self._requests[camera] = reply
        self._publish_next(camera)
        try:
            return reply.get(timeout=limit_s)
        except Empty:
            return None
        finally:
            self._requests.pop(camera, None)

    def on_result(self, frame: Frame, result: FrameResult) -> None:
        """On the loop's thread, after the publisher."""
        if not self._requests or (reply := self._requests.get(frame.camera)) is None:
            return
        poses = self._last_poses(frame.camera)
        if poses is not None and poses["frame"] == frame.seq:
            image = to_bgr(frame.image, frame.pixel_format).copy()
            reply.put(GrabbedFrame(image=image, result=result, poses=poses))
            self._requests.pop(frame.camera, None)
