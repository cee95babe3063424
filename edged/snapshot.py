"""One good frame of one camera and what is in it, without the daemon around it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing

from edged.errors import CameraLost, EndOfSource
from edged.frame import U8, Frame, Result
from edged.ports import Camera, Shot, Stream
from edged.units import ns

SETTLE_FRAMES = 10  # live cameras need about so many to find their exposure
GOOD_WITHIN_S = 5.0  # how long a degraded image is hoped to get better


def take(
    camera: Camera,
    see: Callable[[Frame], Result],
    *,
    name: str,
    settle: int = SETTLE_FRAMES,
    good_within_s: float = GOOD_WITHIN_S,
) -> tuple[U8, Result]:
    """The first frame after `settle` others that is not degraded, or the last one looked at if none comes in time.

    Raises `CameraLost` when the camera gives no frame.
    """
    with closing(camera.open()) as stream:
        taken = _look(stream, see, name, settle)
        limit_ns = time.monotonic_ns() + ns(good_within_s)
        while taken[1].clarity.degraded and time.monotonic_ns() < limit_ns:
            try:
                taken = _look(stream, see, name, 0)
            except EndOfSource:
                break
        return taken


def first(camera: Camera, *, name: str, settle: int = SETTLE_FRAMES) -> U8:
    """The first image after `settle` others, looked at by nobody. Raises `CameraLost`."""
    with closing(camera.open()) as stream:
        image: U8 = _next(stream, name, settle).image.copy()
        return image


def _look(stream: Stream, see: Callable[[Frame], Result], name: str, skip: int) -> tuple[U8, Result]:
    shot = _next(stream, name, skip)
    image = shot.image.copy()
    frame = Frame(
        camera=name,
        seq=skip,
        captured_ns=shot.captured_ns,
        image=image,
        source=shot.source,
        position=shot.position,
    )
    return image, see(frame)


def _next(stream: Stream, name: str, skip: int) -> Shot:
    """The next frame that could be decoded, after `skip` others."""
    seq = 0
    while True:
        shot = stream.read(None)
        if shot.image.size and seq >= skip:
            return shot
        seq += 1
        if seq > skip + 100:
            raise CameraLost(f"{name}: none of {seq} frames could be decoded. Check the cable, or the file")
