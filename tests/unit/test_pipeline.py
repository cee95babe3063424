"""What the pipeline keeps between frames, over a scripted backend."""

from __future__ import annotations

import numpy as np
import pytest

from edged.errors import OutsideImage
from edged.frame import (
    CameraIntrinsics,
)
from tests.support.pipeline import BODY, CLEAR, DARK, HORSE, PipelineRun


def test_boxes_are_tracked_between_detector_runs() -> None:
    run = PipelineRun(detector_interval=3, track={"min_hits": 1})
    results = [run.frame() for _ in range(6)]
    assert run.backend.detected == [True, False, False] * 2
    assert [result.subjects[0].box_source for result in results] == ["detected", "tracked", "tracked"] * 2
    assert len({result.subjects[0].id for result in results}) == 1


def test_tracked_box_without_confident_keypoints_is_not_published() -> None:
    run = PipelineRun(detector_interval=3, track={"min_hits": 1})
    run.frame()
    run.backend.score = 0.05
    assert run.frame().subjects == ()


@pytest.mark.parametrize(("seen", "needed", "shown"), [(0.1, 1, 0), (0.1, 0, 1), (0.8, 17, 1), (0.8, 18, 0)])
def test_new_subject_needs_visible_keypoints(seen: float, needed: int, shown: int) -> None:
    run = PipelineRun(track={"min_hits": 1, "min_keypoints": needed})
    run.backend.score = seen
    assert len(run.frame().subjects) == shown


EQUAL_PARTS = {"detection": 1.0, "keypoints": 1.0, "offset": 0.0, "score": 0.5}


@pytest.mark.parametrize(("seen", "shown"), [(0.8, 1), (0.05, 0)])
def test_keypoints_confirm_or_refute_a_detection(seen: float, shown: int) -> None:
    run = PipelineRun(subject=EQUAL_PARTS, track={"min_hits": 1, "min_keypoints": 0})
    run.backend.score, run.backend.detection_score = seen, 0.6
    assert len(run.frame().subjects) == shown


def test_published_score_is_that_of_the_subject() -> None:
    run = PipelineRun(subject=EQUAL_PARTS, track={"min_hits": 1})
    run.backend.score, run.backend.detection_score = 0.8, 0.6
    (subject,) = run.frame().subjects
    assert subject.score == pytest.approx(6 / 7)  # odds 4 : 1 times 3 : 2
    assert subject.detection_score == pytest.approx(0.6)


def test_refuted_box_does_not_continue_a_track() -> None:
    run = PipelineRun(subject=EQUAL_PARTS, track={"min_hits": 1})
    run.frame()
    run.backend.score, run.backend.detection_score = 0.02, 0.6
    assert run.frame().subjects == ()


def test_threshold_of_the_camera_is_that_of_the_subject() -> None:
    run = PipelineRun(subject=EQUAL_PARTS, track={"min_hits": 1}, thresholds={"horse": 0.9})
    run.backend.score, run.backend.detection_score = 0.8, 0.6
    assert run.frame().subjects == ()
    assert run.backend.params[0].thresholds[1] == pytest.approx(0.3)  # the detector is not asked for more


def test_subject_whose_keypoints_are_hidden_later_stays() -> None:
    run = PipelineRun(track={"min_hits": 1})
    first = run.frame().subjects[0].id
    run.backend.score = 0.1
    assert [subject.id for subject in run.frame().subjects] == [first]


def test_new_subject_without_a_pose_model_needs_no_keypoints() -> None:
    run = PipelineRun(track={"min_hits": 1})
    run.backend.posed = False
    assert len(run.frame().subjects) == 1


def test_low_detection_of_a_present_subject_is_published() -> None:
    run = PipelineRun(track={"min_hits": 1})
    run.frame()
    run.backend.detection_score = 0.2
    (subject,) = run.frame().subjects
    assert (subject.id, subject.box_source) == (1, "detected")
    assert subject.score == pytest.approx(0.2)


def test_low_detection_without_a_track_is_not_published() -> None:
    run = PipelineRun(track={"min_hits": 1})
    run.backend.detection_score = 0.2
    assert [run.frame().subjects for _ in range(3)] == [(), (), ()]


def test_backend_gets_the_expected_boxes_as_priors() -> None:
    run = PipelineRun(track={"min_hits": 1})
    run.frame()
    run.frame()
    assert [len(priors) for priors in run.backend.priors] == [0, 1]
    assert run.backend.priors[1].xyxy[0] == pytest.approx(np.array(HORSE), abs=1)


def test_degraded_frame_has_no_subjects_and_does_not_use_the_detectors_turn() -> None:
    run = PipelineRun(detector_interval=3, track={"min_hits": 1})
    run.backend.quality = DARK
    assert run.frame().subjects == ()
    run.backend.quality = CLEAR
    assert len(run.frame().subjects) == 1
    assert run.backend.detected == [True, True]


def test_damaged_frame_is_degraded_without_subjects_and_the_track_goes_on() -> None:
    run = PipelineRun(track={"min_hits": 1})
    before = run.frame().subjects[0].id
    damaged = run.frame(damaged=True)
    assert (damaged.subjects, damaged.quality.degraded) == ((), ("damaged",))
    assert run.frame().subjects[0].id == before


def test_damaged_frame_is_processed_where_quality_is_not_checked() -> None:
    run = PipelineRun(track={"min_hits": 1}, quality={"enabled": False})
    assert len(run.frame(damaged=True).subjects) == 1


def test_centre_of_intrinsics_outside_the_image_is_told(caplog: pytest.LogCaptureFixture) -> None:
    lens = {"fx": 900, "fy": 900, "cx": 960, "cy": 540}
    run = PipelineRun(intrinsics=lens)
    run.frame()
    run.frame()
    assert caplog.text.count("centre of intrinsics, 960, 540, lies outside the image of 320x240") == 1
    PipelineRun(intrinsics=lens | {"cx": 160, "cy": 120}).frame()
    assert caplog.text.count("intrinsics") == 1


def test_new_source_starts_new_ids_with_a_detector_run() -> None:
    run = PipelineRun(detector_interval=3, track={"min_hits": 1})
    before = run.frame("a.mp4").subjects[0].id
    after = run.frame("b.mp4").subjects[0].id
    assert after != before
    assert run.backend.detected == [True, True]


def test_static_region_is_subject_one_without_a_detector() -> None:
    run = PipelineRun(static_region={"label": "horse", "box": HORSE})
    (subject,) = run.frame().subjects
    assert (subject.id, subject.label, subject.box_source) == (1, "horse", "region")
    assert abs(subject.score - 0.8) < 1e-6
    assert run.backend.detected == [False]


def test_static_region_without_confident_keypoints_is_empty() -> None:
    run = PipelineRun(static_region={"label": "horse", "box": HORSE})
    run.backend.score = 0.05
    assert run.frame().subjects == ()


def test_static_region_without_a_pose_model_is_empty() -> None:
    run = PipelineRun(static_region={"label": "horse", "box": HORSE})
    run.backend.posed = False
    assert run.frame().subjects == ()


def test_subject_detected_as_another_class_is_posed_as_the_class_of_its_track() -> None:
    run = PipelineRun(track={"min_hits": 1})
    for _ in range(3):
        run.frame()
    run.backend.label, run.backend.detection_score, run.backend.detected = 0, 0.4, []
    (subject,) = run.frame().subjects
    assert (subject.label, subject.schema, subject.box_source) == ("horse", "ap10k-17", "detected")
    assert subject.score == pytest.approx(0.9)  # of the last detection as a horse
    assert subject.keypoints is not None
    assert run.backend.detected == [True, False]
    assert run.backend.priors[-1].label.tolist() == [1]
    np.testing.assert_array_equal(run.backend.priors[-1].xyxy, [HORSE])


def test_subject_detected_as_its_class_is_posed_once() -> None:
    run = PipelineRun(track={"min_hits": 1})
    for _ in range(3):
        run.frame()
    assert run.backend.detected == [True] * 3


def test_single_mode_infers_one_subject() -> None:
    run = PipelineRun(mode="single", pick="largest")
    run.frame()
    assert (run.backend.params[0].max_subjects, run.backend.params[0].pick) == (1, "largest")


def test_adaptive_mode_infers_one_subject_once_frames_are_late() -> None:
    run = PipelineRun(mode="adaptive", max_subjects=5)
    for _ in range(12):
        run.frame(skip=1)
    assert run.backend.params[0].max_subjects == 5
    assert run.backend.params[-1].max_subjects == 1


def test_unwanted_class_has_an_infinite_threshold() -> None:
    run = PipelineRun(classes=["horse"])
    run.frame()
    assert np.isinf(run.backend.params[0].thresholds[0])
    assert np.isfinite(run.backend.params[0].thresholds[1])


def test_smoothed_keypoints_are_given_in_addition_to_raw_ones() -> None:
    run = PipelineRun(track={"min_hits": 1})
    (subject,) = run.frame().subjects
    assert subject.keypoints is not None
    assert subject.smoothed is not None
    assert subject.schema == "ap10k-17"
    np.testing.assert_allclose(subject.smoothed, subject.keypoints, atol=1e-3)


def test_lift_and_intrinsics_reach_the_backend() -> None:
    intrinsics = {"fx": 900, "fy": 800, "cx": 310, "cy": 250, "tilt_deg": 20}
    run = PipelineRun(lift=True, intrinsics=intrinsics, track={"min_hits": 1})
    (subject,) = run.frame().subjects
    assert subject.pose3d is BODY
    assert subject.smoothed3d is not None
    (params,) = run.backend.params
    assert params.lift_3d
    assert params.intrinsics == CameraIntrinsics(fx=900, fy=800, cx=310, cy=250, tilt_deg=20)
    plain = PipelineRun()
    plain.frame()
    assert (plain.backend.params[0].lift_3d, plain.backend.params[0].intrinsics) == (False, None)


def test_region_is_clipped_when_the_image_changes_size(
    caplog: pytest.LogCaptureFixture,
) -> None:
    run = PipelineRun(roi=[0, 100, 320, 240])
    for size_wh in ((320, 240), (160, 120), (160, 120), (320, 240)):
        run.frame(size_wh=size_wh)
    with pytest.raises(OutsideImage):
        run.frame(size_wh=(120, 90))
    run.frame()
    wanted, cut = (0, 100, 320, 240), (0, 100, 160, 120)
    assert [params.roi for params in run.backend.params] == [wanted, cut, cut, wanted, wanted]
    assert caplog.messages == ["camera a: roi reaches beyond the image; only the part inside is used"]
