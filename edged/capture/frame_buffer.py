"""The memory of a camera's frames, and the counts of what became of each.

Three buffers per camera: one is written, one holds the newest frame, one is leased. Not thread-safe: hub.py guards it.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from math import prod

import numpy as np

from edged.capture.camera import CapturedImage
from edged.frame import U8, Frame

BUFFER_COUNT = 3  # written, newest, leased


def allocate_pages(shape: tuple[int, ...]) -> U8:
    """Zeros of this shape, uint8, in whole pages of their own, so that a GPU or a camera driver can use them directly.

    All pages are touched now: the third buffer is first written when a frame is late, which may be weeks later.
    """
    pages = np.frombuffer(mmap.mmap(-1, max(1, prod(shape))), np.uint8)
    pages.fill(0)
    return pages[: prod(shape)].reshape(shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameCounts:
    """What became of every captured frame, at one instant. Since the start of this camera."""

    captured: int
    processed: int
    dropped: int
    failed: int
    waiting: int  # in the buffer or leased; 0 after close

    @property
    def balanced(self) -> bool:
        return self.captured == self.processed + self.dropped + self.failed + self.waiting


class FrameBuffer:
    """Holds the newest frame of a camera. A frame that is not leased before the next one comes is dropped."""

    def __init__(self, camera: str) -> None:
        self._camera = camera
        self._shape: tuple[int, ...] | None = None
        self._free: list[U8] = []
        self._newest: Frame | None = None
        self._leased: Frame | None = None
        self._captured = self._processed = self._dropped = self._failed = 0

    @property
    def counts(self) -> FrameCounts:
        return FrameCounts(
            captured=self._captured,
            processed=self._processed,
            dropped=self._dropped,
            failed=self._failed,
            waiting=(self._newest is not None) + (self._leased is not None),
        )

    @property
    def full(self) -> bool:
        """Whether the next `put` drops a frame."""
        return self._newest is not None

    @property
    def ready(self) -> bool:
        """Whether `lease` would return a frame."""
        return self._newest is not None and self._leased is None

    @property
    def empty(self) -> bool:
        return self._newest is None and self._leased is None

    def acquire_free(self) -> U8 | None:
        """A buffer of the frames' shape to write the next one into; None before the first, when the shape is unknown.

        An abandoned thread never returns its buffer; a new one is allocated here in its place.
        """
        if self._free:
            return self._free.pop()
        return None if self._shape is None else allocate_pages(self._shape)

    def reallocate(self, shape: tuple[int, ...]) -> U8:
        """Allocate all buffers again for this shape; returns the first to write into."""
        self._shape = shape
        self._free = [allocate_pages(shape) for _ in range(BUFFER_COUNT)]
        return self._free.pop()

    def set_shape(self, shape: tuple[int, ...]) -> None:
        """Expect buffers of this shape, which come from the camera in exchange for those it gets."""
        if shape != self._shape:
            self._shape, self._free = shape, []

    def put(self, image: U8, captured: CapturedImage) -> None:
        """Make a written buffer, shaped as `Frame.image`, the newest frame."""
        if self._newest is not None:
            self.drop_newest()
        self._newest = Frame(
            camera=self._camera,
            seq=self._captured,
            captured_ns=captured.captured_ns,
            image=image,
            pixel_format=captured.pixel_format,
            source=captured.source,
            position=captured.position,
            recorded_ns=captured.recorded_ns,
            source_ns=captured.source_ns,
            recorded_utc_ms=captured.recorded_utc_ms,
            damaged=captured.damaged,
        )
        self._captured += 1

    def count_failed(self, image: U8 | None) -> None:
        """Count a frame that could not be decoded; its buffer is free again."""
        if image is not None:
            self._recycle(image)
        self._captured += 1
        self._failed += 1

    def drop_newest(self) -> None:
        """Drop the newest frame, if there is one, and count it."""
        if self._newest is not None:
            self._recycle(self._newest.image)
            self._newest = None
            self._dropped += 1

    def lease(self) -> Frame | None:
        """The newest frame; None when there is none, or when one is leased already."""
        if not self.ready:
            return None
        self._leased, self._newest = self._newest, None
        return self._leased

    def release(self, *, processed: bool) -> None:
        """Return the leased frame and count it as processed or failed. Raises RuntimeError when none is leased."""
        if self._leased is None:
            raise RuntimeError(f"camera {self._camera}: released twice")
        self._recycle(self._leased.image)
        self._leased = None
        self._processed += processed
        self._failed += not processed

    def _recycle(self, image: U8) -> None:
        if image.shape == self._shape:
            self._free.append(image)
