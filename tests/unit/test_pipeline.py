"""What the pipeline remembers between frames, over a plane that sees what it is told to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edged.config.tables.camera import CameraConfig
from edged.errors import OutsideImage
from edged.frame import (
    Boxes,
    CameraIntrinsics,
    Frame,
    FrameResult,
    ImageQuality,
    InferenceParams,
    InferenceResult,
    Pose3d,
)
from edged.pipeline import Pipeline
from engines.card import Detect, Pose

HORSE = (100.0, 50.0, 300.0, 200.0)
CLASSES = ("person", "horse")
CLEAR = ImageQuality(brightness=120, contrast=90, sharpness=0.5)
DARK = ImageQuality(brightness=2, contrast=90, sharpness=0.5, degraded=("dark",))

BODY = Pose3d(
    xyz_mm=np.zeros((18, 3), np.float32),
    root_mm=np.zeros(3, np.float32),
    schema="h36m-18",
    depth_source="heuristic",
    focal_source="assumed",
)


class ScriptedBackend:
    """Sees `boxes` where it detects, keypoints of `score` in every box, and remembers what it was asked."""

    classes = CLASSES

    def __init__(self) -> None:
        self.clarity, self.score, self.label = CLEAR, 0.8, 1
        self.asked: list[bool] = []
        self.focus: list[InferenceParams] = []
        self.known: list[Boxes] = []

    def infer(self, frame: Frame, params: InferenceParams, priors: Boxes, *, detect: bool) -> InferenceResult:
        self.asked.append(detect)
        self.focus.append(params)
        self.known.append(priors)
        if self.clarity.degraded:
            return InferenceResult(quality=self.clarity, boxes=Boxes.empty(), keypoints=())
        boxes = priors
        if detect:
            found = np.array([HORSE], np.float32)
            boxes = Boxes(xyxy=found, score=np.full(1, 0.9, np.float32), label=np.array([self.label]))
        points = tuple(self._points(box) for box in boxes.xyxy)
        return InferenceResult(quality=self.clarity, boxes=boxes, keypoints=points, poses3d=tuple(BODY for _ in points))

    def _points(self, box: Any) -> Any:
        along = np.linspace(0.1, 0.9, 17)
        x, y = box[0] + along * (box[2] - box[0]), box[1] + along * (box[3] - box[1])
        return np.stack([x, y, np.full(17, self.score)], axis=1).astype(np.float32)

    def close(self) -> None: ...


class PipelineRun:
    """Frames 40 ms apart through a pipeline."""

    def __init__(self, **options: Any) -> None:
        self.plane, self._seq = ScriptedBackend(), 0
        detect = Detect(classes=CLASSES, score=0.3, nms_iou=0.5)
        poses = {label: Pose(schema="ap10k-17") for label in CLASSES}
        self._pipeline = Pipeline(CameraConfig(source="0", **options), self.plane, detect, poses)

    def frame(self, source: str | None = None, skip: int = 0, size_wh: tuple[int, int] = (320, 240)) -> FrameResult:
        self._seq += 1 + skip
        image = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
        return self._pipeline.run(
            Frame(camera="a", seq=self._seq, captured_ns=self._seq * 40_000_000, image=image, source=source)
        )


def test_between_detections_boxes_are_carried() -> None:
    scene = PipelineRun(detector_interval=3, track={"min_hits": 1})
    results = [scene.frame() for _ in range(6)]
    assert scene.plane.asked == [True, False, False] * 2
    assert [result.subjects[0].box_source for result in results] == ["detected", "tracked", "tracked"] * 2
    assert len({result.subjects[0].id for result in results}) == 1


def test_a_carried_box_ends_where_the_keypoints_show_nobody() -> None:
    scene = PipelineRun(detector_interval=3, track={"min_hits": 1})
    scene.frame()
    scene.plane.score = 0.05
    assert scene.frame().subjects == ()


def test_a_degraded_frame_has_no_subjects_and_leaves_the_detector_its_turn() -> None:
    scene = PipelineRun(detector_interval=3, track={"min_hits": 1})
    scene.plane.clarity = DARK
    assert scene.frame().subjects == ()
    scene.plane.clarity = CLEAR
    assert len(scene.frame().subjects) == 1
    assert scene.plane.asked == [True, True]


def test_a_new_source_is_a_new_scene() -> None:
    scene = PipelineRun(detector_interval=3, track={"min_hits": 1})
    before = scene.frame("a.mp4").subjects[0].id
    after = scene.frame("b.mp4").subjects[0].id
    assert after != before
    assert scene.plane.asked == [True, True]


def test_a_fixed_region_is_subject_one_without_a_detector() -> None:
    scene = PipelineRun(static_region={"label": "horse", "box": HORSE})
    (subject,) = scene.frame().subjects
    assert (subject.id, subject.label, subject.box_source) == (1, "horse", "region")
    assert abs(subject.score - 0.8) < 1e-6
    assert scene.plane.asked == [False]


def test_a_fixed_region_whose_keypoints_show_nobody_is_empty() -> None:
    scene = PipelineRun(static_region={"label": "horse", "box": HORSE})
    scene.plane.score = 0.05
    assert scene.frame().subjects == ()


def test_keypoints_of_an_outvoted_class_are_left_out() -> None:
    scene = PipelineRun(track={"min_hits": 1})
    for _ in range(3):
        scene.frame()
    scene.plane.label = 0
    (subject,) = scene.frame().subjects
    assert subject.label == "horse"
    assert subject.keypoints is None
    assert subject.pose3d is None
    assert subject.smoothed is None
    assert subject.schema is None


def test_single_mode_asks_for_one_subject() -> None:
    scene = PipelineRun(mode="single", pick="largest")
    scene.frame()
    assert (scene.plane.focus[0].max_subjects, scene.plane.focus[0].pick) == (1, "largest")


def test_adaptive_mode_asks_for_one_subject_once_frames_are_late() -> None:
    scene = PipelineRun(mode="adaptive", max_subjects=5)
    for _ in range(12):
        scene.frame(skip=1)
    assert scene.plane.focus[0].max_subjects == 5
    assert scene.plane.focus[-1].max_subjects == 1


def test_a_class_that_is_not_wanted_is_not_looked_for() -> None:
    scene = PipelineRun(classes=["horse"])
    scene.frame()
    assert np.isinf(scene.plane.focus[0].thresholds[0])
    assert np.isfinite(scene.plane.focus[0].thresholds[1])


def test_smoothed_keypoints_come_beside_the_raw_ones() -> None:
    scene = PipelineRun(track={"min_hits": 1})
    (subject,) = scene.frame().subjects
    assert subject.keypoints is not None
    assert subject.smoothed is not None
    assert subject.schema == "ap10k-17"
    np.testing.assert_allclose(subject.smoothed, subject.keypoints, atol=1e-3)


def test_people_are_lifted_with_the_cameras_lens_where_it_says_so() -> None:
    scene = PipelineRun(lift=True, intrinsics={"fx": 900, "fy": 800, "cx": 310, "cy": 250}, track={"min_hits": 1})
    assert scene.frame().subjects[0].pose3d is BODY
    (focus,) = scene.plane.focus
    assert focus.lift_3d
    assert focus.intrinsics == CameraIntrinsics(fx=900, fy=800, cx=310, cy=250)
    plain = PipelineRun()
    plain.frame()
    assert (plain.plane.focus[0].lift_3d, plain.plane.focus[0].intrinsics) == (False, None)


def test_a_camera_that_comes_back_smaller_is_looked_at_as_far_as_its_region_is_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = PipelineRun(roi=[0, 100, 320, 240])
    for size_wh in ((320, 240), (160, 120), (160, 120), (320, 240)):
        scene.frame(size_wh=size_wh)
    with pytest.raises(OutsideImage):
        scene.frame(size_wh=(120, 90))
    scene.frame()
    wanted, cut = (0, 100, 320, 240), (0, 100, 160, 120)
    assert [focus.roi for focus in scene.plane.focus] == [wanted, cut, cut, wanted, wanted]
    assert caplog.messages == ["camera a: roi reaches beyond the image; only the part inside is used"]
