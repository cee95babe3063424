"""Subjects that the detector misses: posed where their track expects them, and never passed off as seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edged.bus.message import Stamps, poses
from edged.config import Camera
from edged.frame import Boxes, Clarity, Focus, Frame, Result, Sight
from edged.pipeline import Pipeline
from engines.card import Detect, Pose
from tests.pure.test_message import NineOClock

CLEAR = Clarity(brightness=120, contrast=90, sharpness=0.5)
STEP_NS = 40_000_000


class Blinking:
    """Sees a horse moving 4 px a frame; while `blind` the detector does not. Keypoints score `score`."""

    classes = ("person", "horse")

    def __init__(self) -> None:
        self.blind, self.score, self.others = False, 0.8, list[tuple[float, ...]]()
        self.asked: list[bool] = []
        self.lifted: list[bool] = []

    def see(self, frame: Frame, focus: Focus, known: Boxes, *, detect: bool) -> Sight:
        self.asked.append(detect)
        self.lifted.append(focus.space)
        boxes = self._found(frame.seq) if detect else known
        points = tuple(self._points(box) for box in boxes.xyxy)
        return Sight(clarity=CLEAR, boxes=boxes, keypoints=points, stage_ns={"pose": 1})

    def _found(self, seq: int) -> Boxes:
        rows = [*([] if self.blind else [(4.0 * seq, 50.0, 4.0 * seq + 100, 150.0)]), *self.others]
        xyxy = np.array(rows, np.float32).reshape(-1, 4)
        return Boxes(xyxy=xyxy, score=np.full(len(rows), 0.9, np.float32), label=np.ones(len(rows), np.int64))

    def _points(self, box: Any) -> Any:
        along = np.linspace(0.1, 0.9, 17)
        x, y = box[0] + along * (box[2] - box[0]), box[1] + along * (box[3] - box[1])
        return np.stack([x, y, np.full(17, self.score)], axis=1).astype(np.float32)

    def close(self) -> None: ...


class Scene:
    """Frames 40 ms apart; the horse was detected in the first four."""

    def __init__(self, bridge_s: float = 0.5, confirm: int = 2, **options: Any) -> None:
        self.plane, self._seq = Blinking(), 0
        options["track"] = {"bridge_s": bridge_s, "confirm": confirm}
        detect, pose = Detect(classes=Blinking.classes, score=0.3, nms_iou=0.5), Pose(schema="ap10k-17")
        self._pipeline = Pipeline(Camera(source="0", **options), self.plane, detect, {"horse": pose})
        for _ in range(4):
            self.frame()

    def frame(self) -> Result:
        self._seq += 1
        image = np.zeros((240, 320, 3), np.uint8)
        shot = Frame(camera="a", seq=self._seq, captured_ns=self._seq * STEP_NS, image=image)
        return self._pipeline.run(shot)

    def missed(self, frames: int = 1) -> list[Result]:
        self.plane.blind = True
        return [self.frame() for _ in range(frames)]


def test_a_missed_subject_is_posed_where_it_is_expected() -> None:
    (result,) = Scene().missed()
    (subject,) = result.subjects
    assert (subject.id, subject.bridged, subject.carried) == (1, True, True)
    assert subject.xyxy[0] == pytest.approx(20, abs=3)
    assert result.stage_ns["pose"] == 2


def test_a_bridged_subject_speaks_for_nothing() -> None:
    (result,) = Scene().missed()
    assert result.subjects
    assert result.seen == ()


def test_a_message_names_the_bridged() -> None:
    (result,) = Scene().missed()
    seen = replace(result, subjects=(replace(result.subjects[0], bridged=False),))
    assert poses(Stamps(NineOClock()), result)["subjects"][0]["bridged"] is True
    assert "bridged" not in poses(Stamps(NineOClock()), seen)["subjects"][0]


def test_a_bridge_ends_after_a_while() -> None:
    counts = [len(result.subjects) for result in Scene(bridge_s=0.1).missed(4)]
    assert counts == [1, 1, 0, 0]


def test_a_bridge_ends_where_the_keypoints_show_nobody() -> None:
    scene = Scene()
    scene.plane.score = 0.05
    assert scene.missed()[0].subjects == ()


def test_without_a_bridge_the_models_run_once() -> None:
    scene = Scene(bridge_s=0.0)
    (result,) = scene.missed()
    assert result.subjects == ()
    assert scene.plane.asked == [True] * 5


def test_who_is_seen_costs_no_second_look() -> None:
    assert Scene().plane.asked == [True] * 4


def test_a_subject_behind_another_is_not_read_off_that_one() -> None:
    scene = Scene()
    scene.plane.others = [(50.0, 50.0, 150.0, 150.0)]
    assert [one for one in scene.missed()[0].subjects if one.bridged] == []


def test_a_track_met_just_now_is_not_bridged() -> None:
    scene = Scene(confirm=1)
    scene.plane.others = [(200.0, 50.0, 300.0, 150.0)]
    scene.frame()
    scene.plane.others = []
    assert len(scene.frame().subjects) == 1


def test_the_bridged_take_no_place_from_the_seen() -> None:
    scene = Scene(max_subjects=1)
    scene.plane.others = [(200.0, 50.0, 300.0, 150.0)]
    assert [one.bridged for one in scene.missed()[0].subjects if one.bridged] == []


def test_who_was_not_detected_is_not_lifted_into_space() -> None:
    scene = Scene(lift=True)
    scene.missed()
    assert scene.plane.lifted == [True] * 5 + [False]


def test_a_subject_seen_again_keeps_its_id() -> None:
    scene = Scene()
    scene.missed(5)
    scene.plane.blind = False
    (subject,) = scene.frame().subjects
    assert (subject.id, subject.bridged) == (1, False)
