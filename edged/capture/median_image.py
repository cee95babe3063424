"""The median of a camera's images over some time: what moves through them disappears. Downstream: `edged calibrate`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress

import numpy as np

from edged.capture.camera import Camera, CapturedImage, Stream
from edged.capture.snapshot import next_decoded
from edged.errors import EndOfSource
from edged.frame import U8
from edged.units import ns

MAX_IMAGES = 21  # of them the median is made: 130 MB at 1920 x 1080
BLOCK_ROWS = 64  # of all images at once


def median_image(camera: Camera, *, name: str, seconds: float, warm_up_frames: int) -> U8:
    """The median, (H, W, 3) uint8 BGR, of images spread over `seconds`, or until a recording ends.

    Images of another size than the latest are left out. Raises CameraLost.
    """
    images: list[U8] = []
    with closing(camera.open()) as stream, suppress(EndOfSource):
        first = next_decoded(stream, name, warm_up_frames)
        images.append(first.image.copy())
        for captured in _spread(stream, name, _time_ns(first), ns(seconds)):
            images.append(captured.image.copy())
    return _median([image for image in images if image.shape == images[-1].shape])


def _spread(stream: Stream, name: str, begun_ns: int, duration_ns: int) -> Iterator[CapturedImage]:
    """Images at even times after the first one. Raises CameraLost, or EndOfSource."""
    for number in range(1, MAX_IMAGES):
        due_ns = begun_ns + number * duration_ns // (MAX_IMAGES - 1)
        captured = next_decoded(stream, name, 0)
        while _time_ns(captured) < due_ns:
            captured = next_decoded(stream, name, 0)
        yield captured


def _time_ns(captured: CapturedImage) -> int:
    """On the clock; in a recording that is not played in real time, the time played so far."""
    return captured.captured_ns if captured.recorded_ns is None else captured.recorded_ns


def _median(images: list[U8]) -> U8:
    """Per pixel and channel; of an even number of images the higher of the middle two."""
    middle = len(images) // 2
    rows = range(0, len(images[0]), BLOCK_ROWS)
    blocks = [np.partition([image[row : row + BLOCK_ROWS] for image in images], middle, axis=0)[middle] for row in rows]
    return np.concatenate(blocks)
