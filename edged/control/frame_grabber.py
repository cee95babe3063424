"""The next published frame of a camera, copied for a command; people are blurred where they are not to be shown.

Upstream: the loop, after the publisher. Downstream: the command `snapshot`, on its own thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue

from edged.drawing.privacy import PeopleBlur, blur_people
from edged.frame import F32, U8, Frame, FrameResult
from edged.inference.colour import to_bgr
from edged.messages.schema import Poses
from edged.publisher import without_people


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GrabbedFrame:
    image: U8  # (H, W, 3) BGR; a copy
    result: FrameResult
    poses: Poses  # the message of this very frame
    hidden: list[F32] | None = None  # boxes of people, each (4,) px; None: people may be shown


class FrameGrabber:
    """`last_poses` gives the last poses message of a camera; `publish_next` has its next frame published.

    `hides_people` says of a camera whether its people are blurred.
    """

    def __init__(
        self,
        last_poses: Callable[[str], Poses | None],
        publish_next: Callable[[str], None],
        hides_people: Callable[[str], bool],
    ) -> None:
        self._last_poses = last_poses
        self._publish_next = publish_next
        self._hides_people = hides_people
        self._blurs: dict[str, PeopleBlur] = {}  # by camera; the loop's thread
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
            return _without_people(reply.get(timeout=limit_s))
        except Empty:
            return None
        finally:
            self._requests.pop(camera, None)

    def on_result(self, frame: Frame, result: FrameResult) -> None:
        """On the loop's thread, after the publisher."""
        blur = self._blurs.setdefault(frame.camera, PeopleBlur()) if self._hides_people(frame.camera) else None
        if blur is not None:  # of every frame: a person who is missed in this one was found before
            blur.record(result)
        if not self._requests or (reply := self._requests.get(frame.camera)) is None:
            return
        poses = self._last_poses(frame.camera)
        if poses is not None and poses["frame"] == frame.seq:
            image = to_bgr(frame.image, frame.pixel_format).copy()
            reply.put(GrabbedFrame(image=image, result=result, poses=poses, hidden=blur.boxes if blur else None))
            self._requests.pop(frame.camera, None)


def _without_people(grabbed: GrabbedFrame) -> GrabbedFrame:
    """On the caller's thread, as it takes a while; the image is a copy."""
    if grabbed.hidden is None:
        return grabbed
    blur_people(grabbed.image, grabbed.hidden)
    return replace(grabbed, result=without_people(grabbed.result))
