"""The slots a camera's frames live in, and the ledger of what became of each.

Three slots per camera: one being written, the newest, one leased. Not thread-safe: `capture.py` guards it.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from math import prod

import numpy as np

from edged.capture.camera import CapturedImage
from edged.frame import U8, Frame

BUFFER_COUNT = 3


def allocate_pages(shape: tuple[int, ...]) -> U8:
    """Memory of its own pages, so that a GPU or a camera driver can be given it as it is.

    All of it is there from the start: the third slot is first written when a frame is late, perhaps weeks after that.
    """
    pages = np.frombuffer(mmap.mmap(-1, max(1, prod(shape))), np.uint8)
    pages.fill(0)
    return pages[: prod(shape)].reshape(shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameCounts:
    """What became of every captured frame, at one instant."""

    captured: int
    processed: int
    dropped: int
    failed: int
    waiting: int  # in the ring or leased; 0 after close

    @property
    def balanced(self) -> bool:
        return self.captured == self.processed + self.dropped + self.failed + self.waiting


class FrameBuffer:
    """Newest wins: a frame put on top of one that nobody took drops that one, and counts it."""

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
        """Whether one more frame would drop one."""
        return self._newest is not None

    @property
    def ready(self) -> bool:
        """Whether a lease would be given."""
        return self._newest is not None and self._leased is None

    @property
    def empty(self) -> bool:
        return self._newest is None and self._leased is None

    def acquire_free(self) -> U8 | None:
        """A slot to write the next frame into; None before the first frame told the size.

        A writer that is left behind keeps its slot for good, and a new one takes its place here.
        """
        if self._free:
            return self._free.pop()
        return None if self._shape is None else allocate_pages(self._shape)

    def reallocate(self, shape: tuple[int, ...]) -> U8:
        """Make all slots anew for images of this shape; return the first to write into."""
        self._shape = shape
        self._free = [allocate_pages(shape) for _ in range(BUFFER_COUNT)]
        return self._free.pop()

    def set_shape(self, shape: tuple[int, ...]) -> None:
        """From now on slots are of this shape, and come from the camera in exchange for those it is given."""
        if shape != self._shape:
            self._shape, self._free = shape, []

    def put(self, image: U8, captured: CapturedImage) -> None:
        """Take a written slot in as the newest frame."""
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
        )
        self._captured += 1

    def count_failed(self, image: U8 | None) -> None:
        """Count a frame that came but could not be decoded; its slot is free again."""
        if image is not None:
            self._recycle(image)
        self._captured += 1
        self._failed += 1

    def drop_newest(self) -> None:
        """Give up the newest frame, if there is one."""
        if self._newest is not None:
            self._recycle(self._newest.image)
            self._newest = None
            self._dropped += 1

    def lease(self) -> Frame | None:
        """Hand out the newest frame; None when there is none, or one is still out."""
        if not self.ready:
            return None
        self._leased, self._newest = self._newest, None
        return self._leased

    def release(self, *, processed: bool) -> None:
        """Take the leased frame back and book it."""
        if self._leased is None:
            raise RuntimeError(f"camera {self._camera}: a lease was returned twice")
        self._recycle(self._leased.image)
        self._leased = None
        self._processed += processed
        self._failed += not processed

    def _recycle(self, image: U8) -> None:
        if image.shape == self._shape:
            self._free.append(image)
