"""The three seams of the daemon. Adapters implement them; nothing else knows a library by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from edged.frame import U8, Boxes, Clarity, Frame, Sight


class Shot(Protocol):
    """What a camera hands over: the image, and when and where it was taken."""

    @property
    def image(self) -> U8: ...  # (H, W, 3) BGR
    @property
    def captured_ns(self) -> int: ...  # CLOCK_MONOTONIC
    @property
    def source(self) -> str | None: ...
    @property
    def position(self) -> int | None: ...


class Camera(Protocol):
    """A source of images, used by one capture thread.

    `open` and `read` raise `CameraLost` (come back later) or `EndOfSource` (no more frames, ever).
    `read` blocks for at most the camera's time-out. It decodes into `out` where it can, and
    returns the image it used: `out` itself, or one of its own.
    """

    def open(self) -> None: ...
    def read(self, out: U8 | None) -> Shot: ...
    def close(self) -> None: ...


class Plane(Protocol):
    """Where pixels become keypoints. One thread owns a plane; its methods return when the work is done.

    `see` detects when `boxes` is None, and takes the given boxes as they are otherwise; then it runs the
    pose model of each box's class on all of them at once. It raises `ModelFault` or `DeviceLost`.
    """

    def clarity(self, frame: Frame) -> Clarity: ...
    def see(self, frame: Frame, boxes: Boxes | None) -> Sight: ...
    def close(self) -> None: ...


class Bus(Protocol):
    """Where messages leave. `publish` never blocks: it is bounded, and what it drops is counted."""

    def publish(
        self, topic: str, message: Mapping[str, Any], *, qos: int = 0, retain: bool = False
    ) -> None: ...
    def close(self) -> None: ...
