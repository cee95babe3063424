"""Ids and predicted boxes. Boxes are 100 px squares named by their left edge unless stated."""

from __future__ import annotations

import numpy as np
import pytest

from edged.config.tables.camera import TrackConfig
from edged.frame import Boxes
from edged.tracking.tracker import Tracker
from edged.units import ns

AT_ONCE = TrackConfig(min_hits=1)


def boxes(*lefts: float, score: float = 0.9, label: int = 0, top: float = 0) -> Boxes:
    n = len(lefts)
    xyxy = np.array([[x, top, x + 100, top + 100] for x in lefts], np.float32).reshape(n, 4)
    return Boxes(xyxy=xyxy, score=np.full(n, score, np.float32), label=np.full(n, label, np.int64))


def both(a: Boxes, b: Boxes) -> Boxes:
    return Boxes(
        xyxy=np.concatenate([a.xyxy, b.xyxy]),
        score=np.concatenate([a.score, b.score]),
        label=np.concatenate([a.label, b.label]),
    )


def ids_of(tracker: Tracker, found: Boxes, at_s: float) -> list[int]:
    return [int(i) for i in tracker.update(found, ns(at_s))]


def walk(tracker: Tracker, frames: int = 10, step_px: float = 10, dt_s: float = 0.1) -> None:
    """One subject walks right, detected in every frame; at frame i it is at left edge i × step."""
    for i in range(frames):
        tracker.update(boxes(i * step_px), ns(i * dt_s))


def test_ids_count_from_one_in_the_order_of_the_boxes() -> None:
    assert ids_of(Tracker(AT_ONCE), boxes(0, 300, 600), 0) == [1, 2, 3]


def test_empty_frame_has_no_ids_and_predicts_no_boxes() -> None:
    tracker = Tracker(AT_ONCE)
    assert ids_of(tracker, Boxes.empty(), 0) == []
    assert len(tracker.predict(ns(0.1))[0]) == 0


def test_boxes_in_another_order_keep_their_ids() -> None:
    tracker = Tracker(AT_ONCE)
    tracker.update(boxes(0, 300), 0)
    assert ids_of(tracker, boxes(305, 5), 0.1) == [2, 1]


def test_first_update_confirms_its_detections_at_once() -> None:
    assert ids_of(Tracker(TrackConfig(min_hits=3)), boxes(0), 0) == [1]


def test_later_subject_is_confirmed_after_its_hits() -> None:
    tracker = Tracker(TrackConfig(min_hits=3))
    tracker.update(Boxes.empty(), 0)
    assert [ids_of(tracker, boxes(0), 0.1 * i) for i in (1, 2, 3)] == [[-1], [-1], [1]]


def test_tentative_track_missed_once_is_confirmed_and_missed_twice_is_dropped() -> None:
    for misses, expected in ((1, [1]), (2, [-1])):
        tracker = Tracker(TrackConfig(min_hits=2))
        for i, found in enumerate([Boxes.empty(), boxes(0), *[Boxes.empty()] * misses]):
            tracker.update(found, ns(0.1 * i))
        assert ids_of(tracker, boxes(0), 0.4) == expected


def test_expired_id_is_not_used_again() -> None:
    tracker = Tracker(TrackConfig(min_hits=1, max_age_s=0))
    tracker.update(boxes(0), 0)
    tracker.update(Boxes.empty(), ns(0.1))
    assert ids_of(tracker, boxes(0), 0.2) == [2]


@pytest.mark.parametrize(("gone_s", "expected"), [(1.9, [1]), (2.2, [2])], ids=["in time", "too late"])
def test_missed_subject_keeps_its_id_until_it_expires(gone_s: float, expected: list[int]) -> None:
    tracker = Tracker(TrackConfig(min_hits=1, max_age_s=2))
    tracker.update(boxes(0), 0)
    for t_s in np.arange(0.1, gone_s, 0.1):
        tracker.update(Boxes.empty(), ns(float(t_s)))
    assert ids_of(tracker, boxes(0), gone_s) == expected


def test_gap_starts_new_ids() -> None:
    tracker = Tracker(AT_ONCE)
    tracker.update(boxes(0), 0)
    assert ids_of(tracker, boxes(0), 6) == [2]


def test_detector_slower_than_the_expiry_keeps_ids() -> None:
    tracker = Tracker(TrackConfig(min_hits=1, max_age_s=0.5))
    assert [ids_of(tracker, boxes(0), t) for t in (0, 1, 2)] == [[1], [1], [1]]


def test_crossing_subjects_keep_their_ids_through_frames_that_show_one() -> None:
    tracker = Tracker(AT_ONCE)
    for i in range(40):  # they meet at 200 px in frame 20
        left, right = i * 10.0, 400 - i * 10.0
        found = boxes(left) if abs(left - right) < 90 else boxes(left, right)
        ids = ids_of(tracker, found, i / 30)
    assert ids == [1, 2]


def test_prediction_moves_by_time_not_by_frames() -> None:
    tracker = Tracker(AT_ONCE)
    walk(tracker)  # 100 px/s, last detected at 90 px at 0.9 s
    predicted = [tracker.predict(ns(t))[1].xyxy[0, 0] for t in (0.9, 1.0, 1.2)]
    assert predicted == pytest.approx([90, 100, 116], abs=4)


def test_missed_subject_is_predicted_to_slow_down() -> None:
    tracker = Tracker(AT_ONCE)
    walk(tracker)  # 100 px/s, last detected at 90 px; expected at about 170 px after 1.8 s, not at 270
    for t_s in np.arange(1.0, 2.7, 0.1):
        tracker.update(Boxes.empty(), ns(float(t_s)))
    assert ids_of(tracker, boxes(30), 2.7) == [1]


def test_predicted_box_grows_with_its_subject() -> None:
    tracker = Tracker(AT_ONCE)
    for i in range(10):
        large = Boxes(
            xyxy=np.array([[0, 0, 100 + 10 * i, 100]], np.float32),
            score=np.ones(1, np.float32),
            label=np.zeros(1, np.int64),
        )
        tracker.update(large, ns(0.1 * i))
    x0, y0, x1, y1 = tracker.predict(ns(0.9))[1].xyxy[0]
    assert (x1 - x0, y1 - y0) == pytest.approx((190, 100), abs=10)


def test_new_subject_may_leave_its_box_between_slow_frames() -> None:
    tracker = Tracker(AT_ONCE)
    tracker.update(boxes(0), 0)
    assert ids_of(tracker, boxes(110), 0.5) == [1]


def test_steady_subject_may_not_leave_its_box() -> None:
    tracker = Tracker(AT_ONCE)
    walk(tracker, step_px=0, dt_s=0.03)
    assert ids_of(tracker, boxes(110), 0.3) == [2]


def test_predicting_twice_changes_nothing() -> None:
    tracker = Tracker(AT_ONCE)
    walk(tracker)
    assert (tracker.predict(ns(1.5))[1].xyxy == tracker.predict(ns(1.5))[1].xyxy).all()
    assert ids_of(tracker, boxes(100), 1.0) == [1]


def test_predicted_boxes_are_best_first_with_their_last_score() -> None:
    tracker = Tracker(AT_ONCE)
    tracker.update(both(boxes(0, score=0.9), boxes(300, score=0.8)), 0)
    tracker.update(both(boxes(0, score=0.5), boxes(300, score=0.75)), 0)
    ids, predicted = tracker.predict(ns(0.1))
    assert (ids.tolist(), predicted.score.tolist()) == ([2, 1], [0.75, 0.5])


def test_tentative_subject_is_not_predicted() -> None:
    tracker = Tracker(TrackConfig(min_hits=2))
    tracker.update(Boxes.empty(), 0)
    tracker.update(boxes(0), ns(0.1))
    assert len(tracker.predict(ns(0.2))[0]) == 0


def test_subject_is_predicted_after_one_miss_and_not_after_two() -> None:
    tracker = Tracker(AT_ONCE)
    tracker.update(boxes(0), 0)
    predicted = []
    for t_s in (0.1, 0.2):
        tracker.update(Boxes.empty(), ns(t_s))
        predicted.append(tracker.predict(ns(t_s))[0].tolist())
    assert predicted == [[1], []]


def test_subject_without_keypoints_is_predicted_for_a_moment_and_keeps_its_id() -> None:
    tracker = Tracker(AT_ONCE)
    tracker.update(boxes(0, 300), 0)
    for t_s in (0.2, 0.4):
        tracker.update_from_keypoints(np.array([2]), boxes(300), ns(t_s))
    assert [sorted(tracker.predict(ns(t))[0].tolist()) for t in (0.2, 0.5)] == [[1, 2], [2]]
    assert ids_of(tracker, boxes(0, 300), 0.6) == [1, 2]
    assert sorted(tracker.predict(ns(0.7))[0].tolist()) == [1, 2]


def test_subject_of_the_last_frame_is_predicted_however_slow_frames_are() -> None:
    tracker = Tracker(AT_ONCE)
    tracker.update(boxes(0), 0)
    assert tracker.predict(ns(1))[0].tolist() == [1]


def test_keypoints_move_the_predicted_box() -> None:
    tracker = Tracker(AT_ONCE)
    tracker.update(boxes(0, 300), 0)
    for i in range(1, 6):
        tracker.update_from_keypoints(np.array([2, 1]), boxes(300, 10 * i), ns(0.1 * i))
    ids, predicted = tracker.predict(ns(0.6))
    assert dict(zip(ids.tolist(), predicted.xyxy[:, 0].tolist(), strict=True)) == pytest.approx({1: 60, 2: 300}, abs=8)


def test_one_detection_of_another_class_neither_starts_a_track_nor_changes_the_class() -> None:
    tracker = Tracker(AT_ONCE)
    for i in range(5):
        tracker.update(boxes(0, label=1), ns(0.1 * i))
    assert ids_of(tracker, boxes(0, label=0), 0.5) == [1]
    assert tracker.labels(np.array([1])).tolist() == [1]


def test_class_changes_with_the_majority() -> None:
    tracker = Tracker(AT_ONCE)
    for i, label in enumerate((1, 0, 0, 0)):
        ids = ids_of(tracker, boxes(0, label=label), 0.1 * i)
    assert (ids, tracker.labels(np.array(ids)).tolist()) == ([1], [0])


def test_subject_detected_as_two_classes_has_one_id() -> None:
    tracker = Tracker(AT_ONCE)
    twice = both(boxes(0, score=0.8, label=1), boxes(4, score=0.6, label=0))
    assert [ids_of(tracker, twice, t) for t in (0, 0.1, 0.2)] == [[1, -1]] * 3


@pytest.mark.parametrize(("left", "ids"), [(17, [1, -1]), (18, [1, 2])], ids=["IoU above 0.7", "IoU below 0.7"])
def test_duplicate_is_a_detection_that_overlaps_by_seven_tenths(left: float, ids: list[int]) -> None:
    assert ids_of(Tracker(AT_ONCE), both(boxes(0), boxes(left, score=0.8, label=1)), 0) == ids


def test_class_held_for_long_changes_after_a_bounded_number_of_votes() -> None:
    tracker = Tracker(AT_ONCE)
    for i in range(42):
        tracker.update(boxes(0, label=1 if i < 30 else 0), ns(0.1 * i))
    assert tracker.labels(np.array([1])).tolist() == [0]


def test_rider_and_horse_have_two_ids() -> None:
    tracker = Tracker(AT_ONCE)
    pair = both(boxes(0, label=1), boxes(20, label=0, top=-50))
    assert [ids_of(tracker, pair, t) for t in (0, 0.1, 0.2)] == [[1, 2]] * 3


def test_low_detection_continues_a_track_and_starts_none() -> None:
    tracker = Tracker(AT_ONCE, new_track_thresholds=np.array([0.5, 0.3], np.float32))
    assert ids_of(tracker, both(boxes(0, score=0.4), boxes(300, score=0.3, label=1)), 0) == [-1, 1]
    assert ids_of(tracker, boxes(300, score=0.25, label=1), 0.1) == [1]


@pytest.mark.parametrize(
    ("left", "label", "expected"),
    [
        pytest.param(33, 0, [1], id="IoU above one half"),
        pytest.param(34, 0, [-1], id="IoU below one half"),
        pytest.param(0, 1, [-1], id="another class"),
    ],
)
def test_low_detection_needs_overlap_and_class(left: float, label: int, expected: list[int]) -> None:
    tracker = Tracker(AT_ONCE, new_track_thresholds=0.5)
    walk(tracker, step_px=0)
    assert ids_of(tracker, boxes(left, score=0.3, label=label), 1.0) == expected


@pytest.mark.parametrize(("misses", "expected"), [(1, [1]), (2, [-1])], ids=["present", "absent"])
def test_low_detection_continues_only_a_present_subject(misses: int, expected: list[int]) -> None:
    tracker = Tracker(AT_ONCE, new_track_thresholds=0.5)
    for i, found in enumerate([boxes(0), *[Boxes.empty()] * misses]):
        tracker.update(found, ns(0.05 * i))
    assert ids_of(tracker, boxes(0, score=0.3), 0.05 * (misses + 1)) == expected


def test_low_detection_does_not_confirm_a_tentative_track() -> None:
    tracker = Tracker(TrackConfig(min_hits=2), new_track_thresholds=0.5)
    for i, found in enumerate([Boxes.empty(), boxes(0)]):
        tracker.update(found, ns(0.1 * i))
    assert ids_of(tracker, boxes(0, score=0.3), 0.2) == [-1]


def test_low_detections_follow_one_another_for_as_long_as_the_track_had_confident_ones() -> None:
    tracker = Tracker(AT_ONCE, new_track_thresholds=0.5)
    walk(tracker, frames=3, step_px=0)
    scores = [0.3, 0.3, 0.6, 0.3, 0.3, 0.3, 0.3, 0.3]
    ids = [ids_of(tracker, boxes(0, score=score), 0.3 + 0.1 * i) for i, score in enumerate(scores)]
    assert ids == [[1]] * 7 + [[-1]]


def test_of_two_low_detections_the_better_placed_continues_the_track() -> None:
    tracker = Tracker(AT_ONCE, new_track_thresholds=0.5)
    tracker.update(boxes(0), 0)
    assert ids_of(tracker, both(boxes(20, score=0.4), boxes(5, score=0.3)), 0.1) == [-1, 1]


def test_detection_of_the_class_is_matched_before_a_better_placed_one_of_another() -> None:
    tracker = Tracker(AT_ONCE)
    tracker.update(boxes(0), 0)
    assert ids_of(tracker, both(boxes(0, label=1), boxes(15)), 0.1) == [-1, 1]


def test_confident_detection_is_matched_before_a_better_placed_low_one() -> None:
    tracker = Tracker(AT_ONCE, new_track_thresholds=0.5)
    tracker.update(boxes(0), 0)
    assert ids_of(tracker, both(boxes(0, score=0.3), boxes(20, score=0.6)), 0.1) == [-1, 1]


def test_confirmed_track_is_matched_before_a_tentative_one() -> None:
    tracker = Tracker(TrackConfig(min_hits=2))
    tracker.update(boxes(0), 0)
    tracker.update(boxes(0, 60), ns(0.1))
    assert ids_of(tracker, boxes(40), 0.2) == [1]


def test_without_overlap_there_is_no_match_even_at_limit_zero() -> None:
    tracker = Tracker(TrackConfig(min_hits=1, min_iou=0))
    tracker.update(boxes(0), 0)
    assert ids_of(tracker, boxes(900), 0.1) == [2]


def test_gap_ends_predictions() -> None:
    tracker = Tracker(AT_ONCE)
    tracker.update(boxes(0), 0)
    assert tracker.predict(ns(6))[0].tolist() == []


def test_clock_set_back_keeps_ids() -> None:
    tracker = Tracker(AT_ONCE)
    assert [ids_of(tracker, boxes(0), t) for t in (100, 0, 4, 8)] == [[1]] * 4


def test_clock_set_back_does_not_delay_expiry() -> None:
    tracker = Tracker(AT_ONCE)
    tracker.update(boxes(0), ns(100))
    for t_s in (0, 3):
        tracker.update(Boxes.empty(), ns(t_s))
    assert ids_of(tracker, boxes(0), 3.1) == [2]


def test_reset_starts_new_ids_confirmed_at_once() -> None:
    tracker = Tracker(TrackConfig(min_hits=3))
    tracker.update(boxes(0), ns(50))
    tracker.reset()
    assert ids_of(tracker, boxes(0), 0) == [2]


def test_time_standing_still_or_running_back_keeps_ids() -> None:
    tracker = Tracker(AT_ONCE)
    assert [ids_of(tracker, boxes(0), t) for t in (1, 1, 0.5, 1.1)] == [[1]] * 4


def test_empty_box_predicts_finite_boxes() -> None:
    point = Boxes(xyxy=np.zeros((1, 4), np.float32), score=np.ones(1, np.float32), label=np.zeros(1, np.int64))
    tracker = Tracker(AT_ONCE)
    for t_s in (0, 0.1):
        tracker.update(point, ns(t_s))
    assert np.isfinite(tracker.predict(ns(0.2))[1].xyxy).all()
