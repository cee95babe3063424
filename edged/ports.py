"""The three seams of the daemon. Adapters implement them; nothing else knows a library by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from edged.bus.topics import Topic
from edged.frame import U8, Boxes, InferenceParams, PixelFormat, Frame, InferenceResult


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CapturedImage:
    """What a camera hands over: the image, and when and where it was taken."""

    image: U8  # (H, W, 3) BGR, or as `form` has it; of size zero when a frame was there but could not be decoded
    captured_ns: int  # CLOCK_MONOTONIC; lies ahead for recorded frames that are not due yet
    pixel_format: PixelFormat = "bgr"
    swapped: bool = False  # the image is the reader's now, and the memory it gave is the stream's
    source: str | None = None  # file the frame came from, None for live cameras
    position: int | None = None  # frame number inside `source`
    recorded_ns: int | None = None  # time inside the recording, where frames come faster or slower than recorded


class Stream(Protocol):
    """An open camera, used and closed by one capture thread.

    `read` blocks until there is a frame, for at most the camera's time-out. It decodes into `out` where
    it can, and the shot's image is then `out` itself; any other image is valid until the next `read`, unless it is
    traded: a camera that fills memory by itself keeps `out` to fill it later, and gives what it filled before.
    It raises `CameraLost` (come back later) or `EndOfSource` (no more frames, ever).
    """

    def read(self, out: U8 | None) -> CapturedImage: ...
    def close(self) -> None: ...


class Camera(Protocol):
    """A source of images. Every `open` gives a stream of its own, so that a hanging one can be left behind.

    `open` raises `CameraLost` with the reason.
    """

    def open(self) -> Stream: ...


class PoseBackend(Protocol):
    """Where pixels become keypoints. One thread owns a plane; `see` returns when the work is done.

    `see` measures the image, and stops there when it is degraded. With `detect` it runs the detector, and
    `known` (subjects expected in this frame) helps to keep faint ones, those missed of late (score 0) as hints only;
    without, it takes `known` as it is.
    Then it runs the pose model of each box's class, all subjects of a class in one call.
    It raises `ModelFault` (give up this frame) or `DeviceLost` (exit).
    """

    @property
    def classes(self) -> tuple[str, ...]: ...
    def infer(self, frame: Frame, params: InferenceParams, priors: Boxes, *, detect: bool) -> InferenceResult: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A message somebody sent to a topic we listen to. What only MQTT 5 carries is None with 3.1.1."""

    path: str  # as in `Topic`: below <base>/<device>/, or the whole topic after a leading slash
    payload: bytes
    retain: bool  # an old one, kept by the broker: not to be acted on
    response_topic: str | None = None  # where the sender wants the answer, a whole topic
    correlation: bytes | None = None  # to be sent back with the answer
    content_type: str | None = None  # type of the payload, like application/json


class Bus(Protocol):
    """Where messages leave, and requests come in.

    `publish` never blocks: it is bounded, and what it drops is counted. How a message is delivered is its
    topic's channel's business; bytes are sent as they are (a JPEG). It raises ValueError for NaN and infinity.
    `listen` may be called at any time, once per topic, and wildcards may be used; the bus subscribes on every
    connect. `take` runs in the bus's thread, must return at once, and does no harm when it raises.
    """

    def publish(
        self, topic: Topic, message: Mapping[str, Any] | bytes, *, correlation: bytes | None = None
    ) -> None: ...
    def subscribe(self, topic: Topic, callback: Callable[[Request], None]) -> None: ...
    @property
    def stats(self) -> dict[str, Any]: ...  # for `health`: connected, protocol, reconnects, and the tally
    def close(self) -> None: ...
