"""A camera that plays a script: losses, stalls and odd frames without hardware."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from edged.capture.camera import CapturedImage
from edged.errors import EndOfSource
from edged.frame import U8

Step = U8 | CapturedImage | Exception | Callable[[], object]


class ScriptedCamera:
    """Each `open` plays the next session, a sequence of steps; after the last session the source has ended.

    A step is an image or CapturedImage to return, an error to raise, or a function to call before the next step.
    """

    def __init__(self, *sessions: Iterable[Step], clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._sessions = iter(sessions)
        self.clock = clock
        self.opened = 0
        self.closed = 0

    def open(self) -> ScriptedStream:
        self.opened += 1
        return ScriptedStream(self, next(self._sessions, ()))


class ScriptedStream:
    def __init__(self, camera: ScriptedCamera, steps: Iterable[Step]) -> None:
        self._camera = camera
        self._steps: Iterator[Step] = iter(steps)

    def read(self, out: U8 | None) -> CapturedImage:
        for step in self._steps:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, CapturedImage):
                return step
            if not callable(step):
                return CapturedImage(image=_into(out, step), captured_ns=self._camera.clock())
            step()
        raise EndOfSource("the script is over")

    def close(self) -> None:
        self._camera.closed += 1


def _into(out: U8 | None, image: U8) -> U8:
    """The image, written into `out` where the shape fits, as a driver does."""
    if out is None or out.shape != image.shape:
        return image
    out[...] = image
    return out
