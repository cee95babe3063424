"""The back-off of a camera that is lost again and again."""

from __future__ import annotations

import time

import numpy as np

from edged.capture.camera import CapturedImage
from edged.capture.sources.scripted import ScriptedCamera
from edged.capture.worker import STABLE_FRAMES, CameraWorker, CaptureShared, CaptureThread
from edged.config.tables.camera import CameraConfig
from edged.runtime.backoff import Backoff
from edged.units import ns


def test_backoff_doubles_up_to_its_limit_with_jitter_below() -> None:
    backoff = Backoff(3.0, jitter=lambda: 1.0)
    assert [backoff.next_s() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    backoff.reset()
    assert backoff.next_s() == 0.5
    assert Backoff(3.0, jitter=lambda: 0.0).next_s() == 0.25


def test_camera_of_a_low_rate_is_given_two_frames_time() -> None:
    def lost_after(seconds: float, **keys: float) -> bool:
        settings, now_ns = CameraConfig.model_validate({"source": "0", **keys}), ns(seconds)
        worker = CameraWorker("cam", settings, ScriptedCamera(), CaptureShared(lambda _: None, lambda: 0), retry=False)
        worker._thread = thread = CaptureThread(worker, 0.0, None)
        with worker.shared.condition:
            worker.on_frame(CapturedImage(image=np.zeros((2, 4, 3), np.uint8), captured_ns=0))
            thread.busy_since_ns = 0
            worker.check_stall(now_ns)
        return worker.state.phase == "lost"

    assert lost_after(5.1) and lost_after(5.1, fps=15)  # noqa: PT018
    assert not lost_after(19, fps=0.1)
    assert lost_after(21, fps=0.1)


def test_backoff_is_reset_only_by_a_stable_camera() -> None:
    shared = CaptureShared(lambda _: None, time.monotonic_ns)
    worker = CameraWorker("cam", CameraConfig(source="0", retry_max_s=30), ScriptedCamera(), shared, retry=True)
    captured = CapturedImage(image=np.zeros((2, 4, 3), np.uint8), captured_ns=0)
    with shared.condition:
        waits_s = [worker.on_lost("gone") for _ in range(5)]
        for _ in range(2):
            for _ in range(STABLE_FRAMES - 1):
                worker.on_frame(captured)
            flapping_s = worker.on_lost("gone")
        for _ in range(STABLE_FRAMES):
            worker.on_frame(captured)
        stable_s = worker.on_lost("gone")
    assert waits_s[4] is not None and flapping_s is not None and stable_s is not None  # noqa: PT018
    assert waits_s[4] >= 4
    assert flapping_s >= 8
    assert stable_s <= 0.5
