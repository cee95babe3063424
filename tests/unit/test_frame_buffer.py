"""The three buffers of a camera."""

from __future__ import annotations

import psutil

from edged.capture.camera import CapturedImage
from edged.capture.frame_buffer import BUFFER_COUNT, FrameBuffer


def test_buffers_are_reused() -> None:
    frame_buffer = FrameBuffer("cam")
    buffer = frame_buffer.reallocate((2, 4, 3))
    seen = {id(buffer): buffer}
    for _ in range(20):
        frame_buffer.put(buffer, CapturedImage(image=buffer, captured_ns=0))
        blank = frame_buffer.acquire_free()
        assert blank is not None
        buffer = blank
        seen[id(buffer)] = buffer
    assert len(seen) <= BUFFER_COUNT


def test_reallocate_touches_the_memory_of_all_buffers() -> None:
    frame_buffer, process = FrameBuffer("cam"), psutil.Process()
    before = process.memory_info().rss
    first = frame_buffer.reallocate((1080, 1920, 3))
    assert process.memory_info().rss - before > 0.99 * BUFFER_COUNT * first.nbytes
