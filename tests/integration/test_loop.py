"""The loop: a failed frame does not stop it; it ends on request or with the last source."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import cast

import numpy as np
import pytest

from edged import loop
from edged.capture.frame_buffer import FrameCounts
from edged.capture.hub import CameraHub
from edged.capture.sources.scripted import ScriptedCamera
from edged.config.tables.camera import CameraConfig
from edged.errors import DeviceLost, ModelFault, NotWritten, OutsideImage
from edged.frame import Frame, FrameResult, ImageQuality
from edged.pipeline import Pipeline
from edged.runtime import threads
from tests.support.waiting import until

LIMIT_S = 10.0
CLIP = CameraConfig.model_validate({"source": "clip.mp4", "realtime": False})
IMAGE = np.zeros((2, 4, 3), np.uint8)
CLEAR = ImageQuality(brightness=99, contrast=99, sharpness=1)


class Scripted:
    """A pipeline that fails with these errors at these frames."""

    def __init__(self, errors: dict[int, Exception], after: Callable[[Frame], object] = lambda frame: None) -> None:
        self._errors = errors
        self._after = after

    def run(self, frame: Frame) -> FrameResult:
        if error := self._errors.get(frame.seq):
            raise error
        self._after(frame)
        size_wh = (frame.image.shape[1], frame.image.shape[0])
        return FrameResult(
            camera=frame.camera,
            seq=frame.seq,
            captured_ns=frame.captured_ns,
            done_ns=frame.captured_ns,
            size_wh=size_wh,
            subjects=(),
            quality=CLEAR,
            stage_ns={},
        )


def played(pipeline: Scripted, frames: int, stop: threading.Event | None = None) -> tuple[list[int], FrameCounts]:
    """The sequence numbers of the processed frames, and the counts."""
    seen: list[int] = []
    hub = CameraHub({"barn": (CLIP, ScriptedCamera([IMAGE] * frames))}, lambda state: None)
    hub.start()
    limit = stop or threading.Event()
    watchdog = threading.Timer(LIMIT_S, limit.set)
    watchdog.start()
    try:
        loop.run(hub, {"barn": cast(Pipeline, pipeline)}, [lambda frame, result: seen.append(result.seq)], limit)
        assert watchdog.is_alive(), "the loop did not end by itself"
    finally:
        watchdog.cancel()
        hub.close()
    return seen, hub.counts("barn")


def test_loop_processes_every_frame_of_a_clip_and_ends() -> None:
    seen, counts = played(Scripted({}), 4)
    assert seen == [0, 1, 2, 3]
    assert (counts.captured, counts.processed) == (4, 4)


def test_loop_counts_degraded_frames_as_failed_and_continues() -> None:
    seen, counts = played(Scripted({1: ModelFault("NaN"), 2: OutsideImage("roi")}), 5)
    assert seen == [0, 3, 4]
    assert (counts.captured, counts.processed, counts.failed) == (5, 3, 2)


def test_loop_logs_a_fault_once_at_its_begin_and_once_at_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="edged.loop")
    played(Scripted({1: ModelFault("NaN in simcc_x"), 2: ModelFault("NaN in simcc_x")}), 5)
    assert [record.getMessage() for record in caplog.records if record.name == "edged.loop"] == [
        "camera barn: NaN in simcc_x",
        "camera barn: frames are processed again; 2 failed",
    ]


def test_bug_in_one_cameras_frames_is_named_and_spares_the_other_camera(caplog: pytest.LogCaptureFixture) -> None:
    hub = CameraHub({name: (CLIP, ScriptedCamera([IMAGE] * 5)) for name in ("barn", "yard")}, lambda state: None)
    pipelines = {"barn": Scripted({}), "yard": Scripted({seq: IndexError("bug") for seq in range(1, 5)})}
    hub.start()
    try:
        loop.run(hub, cast(dict[str, Pipeline], pipelines), [], threading.Event())
    finally:
        hub.close()
    assert (hub.counts("barn").processed, hub.counts("barn").failed) == (5, 0)
    assert (hub.counts("yard").processed, hub.counts("yard").failed) == (1, 4)
    assert [record.args[0] for record in caplog.records if isinstance(record.args, tuple)] == ["yard"]


def at_once(barn: Scripted, yard: Scripted, frames: int = 3) -> CameraHub:
    """The hub, closed, after a loop that computes frames of both cameras at once."""
    hub = CameraHub({name: (CLIP, ScriptedCamera([IMAGE] * frames)) for name in ("barn", "yard")}, lambda state: None)
    hub.start()
    pipelines = cast(dict[str, Pipeline], {"barn": barn, "yard": yard})
    try:
        until(lambda: hub.counts("barn").waiting and hub.counts("yard").waiting)
        loop.run(hub, pipelines, [], threading.Event(), frames_at_once=lambda: 2)
    finally:
        hub.close()
    return hub


def test_frames_of_two_cameras_are_computed_at_once() -> None:
    both = threading.Barrier(2, timeout=LIMIT_S)
    barn, yard = (Scripted({}, after=lambda frame: both.wait()) for _ in range(2))
    hub = at_once(barn, yard, frames=1)
    assert (hub.counts("barn").processed, hub.counts("yard").processed) == (1, 1)


def test_fault_of_a_frame_computed_beside_another_fails_its_own_camera_only() -> None:
    for faulty, other in (("barn", "yard"), ("yard", "barn")):
        scripts = {faulty: Scripted({seq: IndexError("bug") for seq in range(3)}), other: Scripted({})}
        hub = at_once(scripts["barn"], scripts["yard"])
        assert (hub.counts(faulty).failed, hub.counts(other).processed) == (3, 3)


@pytest.mark.parametrize("lost", ["barn", "yard"])
def test_fatal_error_beside_another_frame_ends_the_loop(lost: str) -> None:
    scripts = {name: Scripted({0: DeviceLost("gone")} if name == lost else {}) for name in ("barn", "yard")}
    with pytest.raises(DeviceLost):
        at_once(scripts["barn"], scripts["yard"])
    assert [thread for thread in threads.running() if thread.row.name == "frames"] == []


def test_bug_in_a_sink_fails_the_frame_and_not_the_loop() -> None:
    def sink(frame: Frame, result: FrameResult) -> None:
        if frame.seq == 1:
            raise ValueError("bug")

    hub = CameraHub({"barn": (CLIP, ScriptedCamera([IMAGE] * 3))}, lambda state: None)
    hub.start()
    try:
        loop.run(hub, {"barn": cast(Pipeline, Scripted({}))}, [sink], threading.Event())
    finally:
        hub.close()
    assert (hub.counts("barn").processed, hub.counts("barn").failed) == (2, 1)


def test_fatal_error_ends_the_loop() -> None:
    with pytest.raises(DeviceLost):
        played(Scripted({1: DeviceLost("gone")}), 3)


def test_file_that_cannot_be_written_ends_the_loop() -> None:
    def sink(frame: Frame, result: FrameResult) -> None:
        raise NotWritten("disk full")

    hub = CameraHub({"barn": (CLIP, ScriptedCamera([IMAGE] * 3))}, lambda state: None)
    hub.start()
    try:
        with pytest.raises(NotWritten):
            loop.run(hub, {"barn": cast(Pipeline, Scripted({}))}, [sink], threading.Event())
    finally:
        hub.close()


def test_stop_ends_the_loop_after_the_present_frame() -> None:
    stop = threading.Event()
    seen, counts = played(Scripted({}, after=lambda frame: stop.set()), 50, stop)
    assert seen == [0]
    assert counts.balanced
    assert counts.waiting == 0
