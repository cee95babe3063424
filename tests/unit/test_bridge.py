"""Subjects hardly seen: shown by a hint where their track expects them, and never passed off as seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edged.config.tables.camera import CameraConfig
from edged.frame import Boxes, Frame, FrameResult, ImageQuality, InferenceParams, InferenceResult
from edged.inference.select import low_thresholds, select_detections
from edged.pipeline import Pipeline
from engines.card import Detect, Pose
from tests.unit.test_pipeline import BODY

CLEAR = ImageQuality(brightness=120, contrast=90, sharpness=0.5)
STEP_NS = 40_000_000


class Blinking:
    """Sees a horse moving `speed` px a frame, with the score `sees`."""

    classes = ("person", "horse")

    def __init__(self) -> None:
        self.sees, self.speed, self.others = 0.9, 4.0, list[tuple[float, ...]]()

    def infer(self, frame: Frame, params: InferenceParams, priors: Boxes, *, detect: bool) -> InferenceResult:
        found = self._found(frame.seq)
        boxes = select_detections(
            found.select(found.score >= low_thresholds(params)[found.label]), priors, params, (320, 240)
        )
        points = tuple(self._points(box) for box in boxes.xyxy)
        bodies = tuple(BODY for _ in points)
        return InferenceResult(quality=CLEAR, boxes=boxes, keypoints=points, poses3d=bodies, stage_ns={"pose": 1})

    def _found(self, seq: int) -> Boxes:
        rows = [(self.speed * seq, 50.0, self.speed * seq + 100, 150.0), *self.others]
        scores = np.array([self.sees] + [0.9] * len(self.others), np.float32)
        return Boxes(xyxy=np.array(rows, np.float32), score=scores, label=np.ones(len(rows), np.int64))

    def _points(self, box: Any) -> Any:
        along = np.linspace(0.1, 0.9, 17)
        x, y = box[0] + along * (box[2] - box[0]), box[1] + along * (box[3] - box[1])
        return np.stack([x, y, np.full(17, 0.8)], axis=1).astype(np.float32)

    def close(self) -> None: ...


class Scene:
    """Frames 40 ms apart; the horse was detected in the first second and a half."""

    def __init__(self, bridge_s: float = 0.5, seen: int = 38, speed: float = 4.0, **options: Any) -> None:
        self.plane, self._seq = Blinking(), 0
        self.plane.speed = speed
        options["track"] = {"bridge_s": bridge_s}
        detect, pose = Detect(classes=Blinking.classes, score=0.5, nms_iou=0.5), Pose(schema="ap10k-17")
        self._pipeline = Pipeline(CameraConfig(source="0", **options), self.plane, detect, {"horse": pose})
        for _ in range(seen):
            self.frame()

    def frame(self) -> FrameResult:
        self._seq += 1
        image = np.zeros((240, 320, 3), np.uint8)
        shot = Frame(camera="a", seq=self._seq, captured_ns=self._seq * STEP_NS, image=image)
        return self._pipeline.run(shot)

    def hinted(self, frames: int = 1, score: float = 0.16) -> list[FrameResult]:
        self.plane.sees = score
        return [self.frame() for _ in range(frames)]


def test_a_hint_shows_a_subject_where_it_is_expected() -> None:
    (result,) = Scene().hinted()
    (subject,) = result.subjects
    assert (subject.id, subject.bridged, subject.carried) == (1, True, True)
    assert subject.xyxy[0] == pytest.approx(4 * 39)


def test_without_a_hint_nobody_is_made_up() -> None:
    assert Scene().hinted(score=0.05)[0].subjects == ()


def test_a_bridged_subject_speaks_for_nothing() -> None:
    (result,) = Scene().hinted()
    assert result.subjects
    assert result.seen == ()


def test_who_was_missed_for_a_while_is_not_seen_in_a_faint_box_but_bridged() -> None:
    scene = Scene(speed=1.0)
    scene.hinted(3, score=0.05)
    (subject,) = scene.hinted(score=0.3)[0].subjects
    assert subject.bridged
    without = Scene(speed=1.0, bridge_s=0.0)
    without.hinted(3, score=0.05)
    assert without.hinted(score=0.3)[0].subjects == ()


def test_who_is_bridged_has_no_place_in_space() -> None:
    scene = Scene(speed=1.0)
    assert scene.frame().subjects[0].pose3d is BODY
    scene.hinted(3, score=0.05)
    assert scene.hinted(score=0.3)[0].subjects[0].pose3d is None


def test_a_bridge_ends_after_a_while() -> None:
    counts = [len(result.subjects) for result in Scene(bridge_s=0.1).hinted(4)]
    assert counts == [1, 1, 0, 0]


def test_a_bridge_may_be_longer_than_the_patience_with_the_unseen() -> None:
    results = Scene(bridge_s=3, seen=120, speed=1.0).hinted(70)
    assert [len(result.subjects) for result in results] == [1] * 70


def test_who_reaches_the_end_of_the_picture_may_have_left() -> None:
    assert Scene(seen=55).hinted()[0].subjects == ()  # from 224 to 324 of 320


def test_without_a_bridge_a_hint_is_nobody() -> None:
    assert Scene(bridge_s=0.0).hinted()[0].subjects == ()


def test_a_hint_on_another_subject_is_that_subject() -> None:
    scene = Scene()
    scene.plane.others = [(170.0, 50.0, 270.0, 150.0)]
    assert [one for one in scene.hinted()[0].subjects if one.bridged] == []


def test_who_was_seldom_seen_is_not_shown_by_a_hint() -> None:
    assert Scene(seen=8).hinted()[0].subjects == ()


def test_the_bridged_take_no_place_from_the_seen() -> None:
    scene = Scene(max_subjects=1)
    scene.plane.others = [(10.0, 50.0, 110.0, 150.0)]
    assert [one.bridged for one in scene.hinted()[0].subjects if one.bridged] == []


def test_a_subject_seen_again_keeps_its_id() -> None:
    scene = Scene()
    scene.hinted(5)
    scene.plane.sees = 0.9
    (subject,) = scene.frame().subjects
    assert (subject.id, subject.bridged) == (1, False)
