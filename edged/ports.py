"""The three seams of the daemon. Adapters implement them; nothing else knows a library by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from edged.frame import U8, Boxes, Focus, Frame, Sight


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
    """Where pixels become keypoints. One thread owns a plane; `see` returns when the work is done.

    `see` measures the image, and stops there when it is degraded. Without `boxes` it detects; given boxes it
    takes as they are. Then it runs the pose model of each box's class, all subjects of a class in one call.
    It raises `ModelFault` (give up this frame) or `DeviceLost` (exit).
    """

    @property
    def classes(self) -> tuple[str, ...]: ...
    def see(self, frame: Frame, focus: Focus, boxes: Boxes | None = None) -> Sight: ...
    def close(self) -> None: ...


class Bus(Protocol):
    """Where messages leave. `publish` never blocks: it is bounded, and what it drops is counted."""

    def publish(self, topic: str, message: Mapping[str, Any], *, qos: int = 0, retain: bool = False) -> None: ...
    def close(self) -> None: ...
