"""Live pictures of cameras that somebody looks at, annotated. The loop only copies an image, and none without a viewer.

Upstream: the loop; viewers, who ask for one picture after the other. Downstream: the page.
Threads: `on_result` the loop's; drawing and encoding in `panel-pictures`; everything else any.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic_ns

from edged.drawing.image_file import encode_jpeg, shrunk
from edged.drawing.privacy import PeopleBlur, blur_people
from edged.frame import F32, U8, Frame, FrameResult, PixelFormat
from edged.inference.cpu.pixels import to_bgr
from edged.publisher import without_people
from edged.runtime.rate_limit import RateLimiter
from edged.runtime.threads import SupervisedThread
from edged.units import BYTES_PER_KB, NS_PER_S, ns

LOOK_NS = ns(3)  # a viewer who has not asked for so long has gone
MAX_SIDE_PX = 1280
MAX_BYTES = 400 * BYTES_PER_KB  # of a live picture
POLL_S = 0.5  # between two looks whether to stop
JOIN_S = 2.0  # for the thread to end


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LivePicture:
    """One encoded picture."""

    number: int  # counts the pictures of its camera from 1
    jpeg: bytes
    size_wh: tuple[int, int]  # of the camera's image, px
    captured_ns: int
    result: FrameResult  # that is drawn; without people who are hidden


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Waiting:
    image: U8
    pixel_format: PixelFormat
    result: FrameResult
    people: list[F32]


@dataclass(slots=True)
class _Viewed:
    """One camera that somebody looks at."""

    limiter: RateLimiter
    until_ns: int
    blur: PeopleBlur


Draw = Callable[[U8, FrameResult], U8]  # the image annotated


class LiveView:
    """`draw` annotates an image; `hides_people` says of a camera whether people are blurred."""

    def __init__(self, draw: Draw, hides_people: Callable[[str], bool], max_rate_hz: float) -> None:
        self._draw = draw
        self._hides_people = hides_people
        self._period_ns = round(NS_PER_S / max_rate_hz)
        self._viewed: dict[str, _Viewed] = {}
        self._waiting: dict[str, _Waiting] = {}
        self._pictures: dict[str, LivePicture] = {}
        self._condition = threading.Condition()
        self._thread = SupervisedThread("panel-pictures", self._step)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._thread.stop()
        with self._condition:
            self._condition.notify_all()
        self._thread.join(JOIN_S)

    def look(self, camera: str) -> None:
        """Somebody looks at this camera for the next seconds."""
        until_ns = monotonic_ns() + LOOK_NS
        if viewed := self._viewed.get(camera):
            viewed.until_ns = until_ns
        else:
            self._viewed[camera] = _Viewed(RateLimiter(self._period_ns), until_ns, PeopleBlur())

    def forget(self, camera: str) -> None:
        """Show nothing of this camera any more."""
        with self._condition:
            self._viewed.pop(camera, None)
            self._waiting.pop(camera, None)
            self._pictures.pop(camera, None)

    def picture(self, camera: str) -> LivePicture | None:
        """The newest; None before the first."""
        return self._pictures.get(camera)

    def wait(self, camera: str, after: int, timeout_s: float) -> LivePicture | None:
        """The newest picture, once its number is not `after`; None: there was none in time. Waits."""
        self.look(camera)
        with self._condition:
            self._condition.wait_for(lambda: self._is_new(camera, after) or self._thread.stopping.is_set(), timeout_s)
            return self._pictures[camera] if self._is_new(camera, after) else None

    def _is_new(self, camera: str, after: int) -> bool:
        return camera in self._pictures and self._pictures[camera].number != after

    def on_result(self, frame: Frame, result: FrameResult) -> None:
        """A sink of the loop. While an image waits to be drawn, no other is copied: who draws sets the pace."""
        viewed = self._viewed.get(frame.camera)
        if viewed is None:
            return
        if result.done_ns > viewed.until_ns:
            self.forget(frame.camera)
            return
        viewed.blur.record(result)
        if frame.camera not in self._waiting and viewed.limiter.allow(result.captured_ns):
            waiting = _Waiting(
                image=frame.image.copy(), pixel_format=frame.pixel_format, result=result, people=viewed.blur.boxes
            )
            with self._condition:
                self._waiting[frame.camera] = waiting
                self._condition.notify_all()

    def _step(self) -> float:
        """Draw and encode what waits."""
        with self._condition:
            self._condition.wait_for(lambda: bool(self._waiting) or self._thread.stopping.is_set(), POLL_S)
            waiting, self._waiting = self._waiting, {}
        for camera, one in waiting.items():
            picture = self._encoded(camera, one)
            with self._condition:
                if camera in self._viewed:
                    self._pictures[camera] = picture
                self._condition.notify_all()
        return 0.0

    def _encoded(self, camera: str, one: _Waiting) -> LivePicture:
        image, result = to_bgr(one.image, one.pixel_format), one.result
        if self._hides_people(camera):
            blur_people(image, one.people)
            result = without_people(result)
        jpeg, _ = encode_jpeg(shrunk(self._draw(image, result), MAX_SIDE_PX), MAX_BYTES)
        before = self._pictures.get(camera)
        number = 1 if before is None else before.number + 1
        return LivePicture(
            number=number, jpeg=jpeg, size_wh=result.size_wh, captured_ns=result.captured_ns, result=result
        )
