"""A still: the next frame of a camera whose poses are published, kept for whoever asked.

Upstream the loop and the reporter. Downstream the command `snapshot`, in its own thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from edged.colour import to_bgr
from edged.contract.bodies import Poses
from edged.frame import U8, Frame, Result


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Still:
    image: U8  # ours
    result: Result
    poses: Poses  # the message that tells of this very frame


class Stills:
    """`published` shows the last poses message of a camera, `hurry` has its next frame published."""

    def __init__(self, published: Callable[[str], Poses | None], hurry: Callable[[str], None]) -> None:
        self._published = published
        self._hurry = hurry
        self._asked: dict[str, SimpleQueue[Still]] = {}

    def ask(self, camera: str, limit_s: float) -> Still | None:
        """Wait for one; None when none came in time. One asks at a time."""
        answer: SimpleQueue[Still] = SimpleQueue()
        self._asked[camera] = answer
        self._hurry(camera)
        try:
            return answer.get(timeout=limit_s)
        except Empty:
            return None
        finally:
            self._asked.pop(camera, None)

    def sink(self, frame: Frame, result: Result) -> None:
        """On the compute thread, after the reporter."""
        if self._asked and (answer := self._asked.get(frame.camera)) is not None:
            poses = self._published(frame.camera)
            if poses is not None and poses["frame"] == frame.seq:
                answer.put(Still(image=to_bgr(frame.image, frame.form).copy(), result=result, poses=poses))
                self._asked.pop(frame.camera, None)
