"""One good frame of one camera and its result, without the daemon."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing

from edged.capture.camera import MAX_UNDECODABLE, Camera, CapturedImage, Stream
from edged.errors import CameraLost, EndOfSource
from edged.frame import U8, Frame, FrameResult
from edged.units import ns

WARM_UP_FRAMES = 10  # a live camera needs about this many to adjust its exposure
GOOD_FRAME_TIMEOUT_S = 5.0  # for a degraded image to get better


def first_good_frame(
    camera: Camera,
    infer: Callable[[Frame], FrameResult],
    *,
    name: str,
    warm_up_frames: int = WARM_UP_FRAMES,
    timeout_s: float = GOOD_FRAME_TIMEOUT_S,
    is_good: Callable[[FrameResult], bool] = lambda result: not result.quality.degraded,
) -> tuple[U8, FrameResult]:
    """The image, (H, W, 3) uint8 BGR, and result of the first frame after `warm_up_frames` that `is_good`.

    If none is good within `timeout_s`, the last one. Raises CameraLost when the camera gives no frame.
    """
    with closing(camera.open()) as stream:
        image, result = _infer_next(stream, infer, name, warm_up_frames)
        limit_ns = time.monotonic_ns() + ns(timeout_s)
        while not is_good(result) and time.monotonic_ns() < limit_ns:
            try:
                image, result = _infer_next(stream, infer, name, 0)
            except EndOfSource:
                break
        return image, result


def first_image(camera: Camera, *, name: str, warm_up_frames: int = WARM_UP_FRAMES) -> U8:
    """The first image after `warm_up_frames` others, (H, W, 3) uint8 BGR, without inference. Raises CameraLost."""
    with closing(camera.open()) as stream:
        image: U8 = next_decoded(stream, name, warm_up_frames).image.copy()
        return image


def _infer_next(stream: Stream, infer: Callable[[Frame], FrameResult], name: str, skip: int) -> tuple[U8, FrameResult]:
    captured = next_decoded(stream, name, skip)
    image = captured.image.copy()
    frame = Frame(
        camera=name,
        seq=skip,
        captured_ns=captured.captured_ns,
        image=image,
        source=captured.source,
        position=captured.position,
        damaged=captured.damaged,
    )
    return image, infer(frame)


def next_decoded(stream: Stream, name: str, skip: int) -> CapturedImage:
    """The next frame that can be decoded, after `skip` others. Raises CameraLost when there is none."""
    for seq in range(skip + MAX_UNDECODABLE):
        captured = stream.read(None)
        if captured.image.size and seq >= skip:
            return captured
    text = f"{name}: none of {MAX_UNDECODABLE} frames could be decoded. Check the cable, or the file"
    raise CameraLost(text, "undecodable")
