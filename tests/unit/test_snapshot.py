"""One good frame of one camera. Images are flat; their grey level tells them apart, below 50 is too dark."""

from __future__ import annotations

import numpy as np

from edged.capture.camera import CapturedImage
from edged.capture.snapshot import first_good_frame
from edged.capture.sources.scripted import ScriptedCamera, Step
from edged.errors import CameraLost
from edged.frame import U8, Frame, FrameResult, ImageQuality
from tests.support.raising import raises_code


def flat(level: int) -> U8:
    return np.full((4, 6, 3), level, np.uint8)


def infer(frame: Frame) -> FrameResult:
    level = float(frame.image.mean())
    degraded = ("damaged",) if frame.damaged else ("dark",) if level < 50 else ()
    return FrameResult(
        camera=frame.camera, seq=frame.seq, captured_ns=0, done_ns=0, size_wh=(6, 4), subjects=(), stage_ns={},
        quality=ImageQuality(brightness=level, contrast=0, sharpness=0, degraded=degraded),
    )  # fmt: skip


def snapshot(*steps: Step, warm_up: int = 0, timeout_s: float = 20) -> tuple[int, tuple[str, ...]]:
    image, result = first_good_frame(
        ScriptedCamera(steps), infer, name="yard", warm_up_frames=warm_up, timeout_s=timeout_s
    )
    return int(image[0, 0, 0]), result.quality.degraded


def test_warm_up_frames_are_skipped() -> None:
    assert snapshot(flat(100), flat(110), flat(120), flat(130), warm_up=2) == (120, ())


def test_degraded_frames_are_skipped_until_a_good_one() -> None:
    assert snapshot(flat(10), flat(20), flat(90), flat(91)) == (90, ())


def test_damaged_frames_are_skipped() -> None:
    assert snapshot(CapturedImage(image=flat(80), captured_ns=0, damaged=True), flat(90)) == (90, ())


def test_last_frame_is_returned_when_all_are_degraded() -> None:
    assert snapshot(flat(10), flat(20)) == (20, ("dark",))


def test_degraded_frame_is_returned_after_the_timeout() -> None:
    assert snapshot(flat(10), flat(90), timeout_s=0) == (10, ("dark",))


def test_caller_says_which_frame_is_good() -> None:
    image, _ = first_good_frame(
        ScriptedCamera([flat(60), flat(70), flat(80)]), infer, name="yard", warm_up_frames=0, timeout_s=20,
        is_good=lambda result: result.quality.brightness > 65,
    )  # fmt: skip
    assert image[0, 0, 0] == 70


def test_undecodable_frames_are_skipped() -> None:
    assert snapshot(np.zeros((0, 0, 3), np.uint8), flat(90)) == (90, ())


def test_camera_with_undecodable_frames_only_is_lost() -> None:
    with raises_code(CameraLost, "undecodable"):
        snapshot(*[np.zeros((0, 0, 3), np.uint8)] * 200)


def test_camera_is_closed_after_the_snapshot() -> None:
    camera = ScriptedCamera([flat(90)])
    first_good_frame(camera, infer, name="yard", warm_up_frames=0)
    assert camera.closed == 1
