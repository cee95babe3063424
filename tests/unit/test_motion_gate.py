"""When nothing moves no model runs, and what is published says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")

from edged.config.tables.camera import CameraConfig, MotionGateConfig
from edged.frame import U8, BoxSource, Frame, FrameResult, PixelFormat
from edged.inference.cpu.motion_gate import MotionGate, motion_gate
from edged.pipeline import StillTest
from edged.units import NS_PER_S, ns
from tests.support.pipeline import CLEAR, DARK, PipelineRun

STEP_S = 0.2
ALWAYS = {"mode": "on", "rest_s": 0}
SHAPES: dict[PixelFormat, tuple[int, ...]] = {
    "bgr": (240, 320, 3), "gray": (240, 320), "yuyv": (240, 320, 2), "nv12": (360, 320)
}  # fmt: skip


def frame(t_s: float, image: U8, pixel_format: PixelFormat = "bgr") -> Frame:
    return Frame(camera="a", seq=0, captured_ns=ns(t_s), image=image, pixel_format=pixel_format)


def still(gate: MotionGate, *images: U8, begin_s: float = 0.0) -> list[bool]:
    return [gate.is_still(frame(begin_s + i * STEP_S, image)) for i, image in enumerate(images)]


def scene(x: int = 100, side: int = 16) -> U8:
    image = np.full(SHAPES["bgr"], 90, np.uint8)
    image[100 : 100 + side, x : x + side] = 200
    return image


def gate(roi: tuple[int, int, int, int] | None = None, **options: Any) -> MotionGate:
    return MotionGate(MotionGateConfig.model_validate(ALWAYS | options), roi)


def test_unchanged_images_are_still_but_for_the_first_and_those_of_the_keep_alive() -> None:
    assert still(gate(refresh_s=0.6), *[scene()] * 8) == [False, True, True, False, True, True, False, True]


def test_frames_are_still_only_after_the_rest_time() -> None:
    assert still(gate(rest_s=0.5), *[scene()] * 5) == [False, False, False, True, True]


@pytest.mark.parametrize("pixel_format", SHAPES)
def test_moving_subject_is_no_still_image_in_any_pixel_format(pixel_format: PixelFormat) -> None:
    before, one = np.full(SHAPES[pixel_format], 90, np.uint8), gate()
    after = before.copy()
    after[100:116, 100:116] = 200
    assert not one.is_still(frame(0, before, pixel_format))
    assert one.is_still(frame(0.1, before, pixel_format))
    assert not one.is_still(frame(0.2, after, pixel_format))


def test_slow_movement_adds_up_until_it_is_seen() -> None:
    slow = [scene(100 + round(0.25 * i)) for i in range(9)]
    assert False in still(gate(min_change=40), *slow)[1:]


def test_sensor_noise_is_no_movement() -> None:
    rng = np.random.default_rng(0)
    noisy = [np.clip(scene() + rng.normal(0, 3, SHAPES["bgr"]), 0, 255).astype(np.uint8) for _ in range(6)]
    assert still(gate(), *noisy)[1:] == [True] * 5


def test_movement_outside_the_region_is_not_seen() -> None:
    assert still(gate(roi=(0, 0, 90, 240)), scene(100), scene(200)) == [False, True]


def test_clock_set_back_begins_a_new_scene() -> None:
    one = gate()
    assert still(one, scene(), begin_s=1e6) + still(one, scene(), scene()) == [False, False, True]


class Held(PipelineRun):
    """A pipeline with the gate, confirmed at once."""

    def __init__(self, **options: Any) -> None:
        super().__init__(track={"min_hits": 1}, **({"motion_gate": ALWAYS} | options))

    def gate(self, camera: CameraConfig) -> StillTest | None:
        return motion_gate(camera)


def sources(*results: FrameResult) -> list[BoxSource]:
    return [result.subjects[0].box_source for result in results]


def test_held_subject_is_the_last_one_under_its_id_and_says_so() -> None:
    run = Held()
    first, second = run.frame(), run.frame()
    assert run.backend.detected == [True]
    assert (sources(first, second), first.held, second.held) == (["detected", "held"], False, True)
    assert second.subjects[0].id == first.subjects[0].id
    np.testing.assert_array_equal(second.subjects[0].xyxy, first.subjects[0].xyxy)
    assert list(second.stage_ns) == ["motion"]


def test_subject_keeps_its_id_however_long_nothing_moves() -> None:
    run = Held(motion_gate=ALWAYS | {"refresh_s": 5})
    ids = {run.frame().subjects[0].id for _ in range(round(12 / 0.04))}
    assert ids == {1}
    assert run.backend.detected == [True] * 3


def test_first_frame_after_rest_is_detected_whatever_the_interval() -> None:
    run = Held(detector_interval=10)
    run.frame(), run.frame()
    run.frame(size_wh=(640, 480))
    assert run.backend.detected == [True, True]


def test_degraded_image_is_measured_again() -> None:
    run = Held()
    run.backend.quality = DARK
    run.frame()
    run.backend.quality = CLEAR
    assert not run.frame().held


def test_another_source_begins_anew_although_its_image_is_the_same() -> None:
    run = Held()
    assert not any(run.frame(source=name).held for name in ("a.mp4", "b.mp4"))


@pytest.mark.parametrize(
    ("mode", "stall", "gates"),
    [("auto", False, False), ("auto", True, True), ("off", True, False), ("on", False, True)],
)
def test_gate_follows_the_stall_unless_it_is_set(mode: str, stall: bool, gates: bool) -> None:
    options = {"source": "0", "motion_gate": {"mode": mode}, "stall": {"enabled": stall}}
    assert CameraConfig.model_validate(options).gates_motion == gates


def test_clock_of_the_gate_is_that_of_the_recording() -> None:
    image, one = scene(), gate(refresh_s=1)
    times = [Frame(camera="a", seq=0, captured_ns=i, recorded_ns=i * NS_PER_S, image=image) for i in range(3)]
    assert [one.is_still(each) for each in times] == [False] * 3
