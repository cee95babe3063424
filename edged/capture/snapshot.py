"""One good frame of one camera and what is in it, without the daemon around it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing

from edged.capture.camera import Camera, CapturedImage, Stream
from edged.errors import CameraLost, EndOfSource
from edged.frame import U8, Frame, FrameResult
from edged.units import ns

WARM_UP_FRAMES = 10  # live cameras need about so many to find their exposure
GOOD_FRAME_TIMEOUT_S = 5.0  # how long a degraded image is hoped to get better


def first_good_frame(
    camera: Camera,
    infer: Callable[[Frame], FrameResult],
    *,
    name: str,
    warm_up_frames: int = WARM_UP_FRAMES,
    timeout_s: float = GOOD_FRAME_TIMEOUT_S,
) -> tuple[U8, FrameResult]:
    """The first frame after `warm_up_frames` others that is not degraded, or the last one looked at if none comes in time.

    Raises `CameraLost` when the camera gives no frame.
    """
    with closing(camera.open()) as stream:
        taken = _infer_next(stream, infer, name, warm_up_frames)
        limit_ns = time.monotonic_ns() + ns(timeout_s)
        while taken[1].quality.degraded and time.monotonic_ns() < limit_ns:
            try:
                taken = _infer_next(stream, infer, name, 0)
            except EndOfSource:
                break
        return taken


def first_image(camera: Camera, *, name: str, warm_up_frames: int = WARM_UP_FRAMES) -> U8:
    """The first image after `warm_up_frames` others, looked at by nobody. Raises `CameraLost`."""
    with closing(camera.open()) as stream:
        image: U8 = _next_decoded(stream, name, warm_up_frames).image.copy()
        return image


def _infer_next(stream: Stream, infer: Callable[[Frame], FrameResult], name: str, skip: int) -> tuple[U8, FrameResult]:
    shot = _next_decoded(stream, name, skip)
    image = shot.image.copy()
    frame = Frame(
        camera=name,
        seq=skip,
        captured_ns=shot.captured_ns,
        image=image,
        source=shot.source,
        position=shot.position,
    )
    return image, infer(frame)


def _next_decoded(stream: Stream, name: str, skip: int) -> CapturedImage:
    """The next frame that could be decoded, after `skip` others."""
    seq = 0
    while True:
        shot = stream.read(None)
        if shot.image.size and seq >= skip:
            return shot
        seq += 1
        if seq > skip + 100:
            raise CameraLost(f"{name}: none of {seq} frames could be decoded. Check the cable, or the file")
