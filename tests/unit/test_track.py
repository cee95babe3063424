"""Ids that stay, boxes that are carried. Boxes are 100 px squares named by their left edge unless said."""

from __future__ import annotations

import numpy as np
import pytest

from edged.config.tables.camera import TrackConfig
from edged.frame import F32, Boxes
from edged.tracking.tracker import Tracker, box_from_keypoints
from edged.units import ns

AT_ONCE = TrackConfig(confirm=1)


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


def ids_of(tracks: Tracker, seen: Boxes, at_s: float) -> list[int]:
    return [int(i) for i in tracks.update(seen, ns(at_s))]


def walk(tracks: Tracker, frames: int = 10, step_px: float = 10, dt_s: float = 0.1) -> None:
    """One subject walks right, seen in every frame; at frame i it is at left edge i × step."""
    for i in range(frames):
        tracks.update(boxes(i * step_px), ns(i * dt_s))


def test_ids_count_from_one_in_the_order_of_the_boxes() -> None:
    assert ids_of(Tracker(AT_ONCE), boxes(0, 300, 600), 0) == [1, 2, 3]


def test_an_empty_frame_has_no_ids_and_no_boxes() -> None:
    tracks = Tracker(AT_ONCE)
    assert ids_of(tracks, Boxes.empty(), 0) == []
    assert len(tracks.predict(ns(0.1))[0]) == 0


def test_boxes_keep_their_ids_when_their_order_changes() -> None:
    tracks = Tracker(AT_ONCE)
    tracks.update(boxes(0, 300), 0)
    assert ids_of(tracks, boxes(305, 5), 0.1) == [2, 1]


def test_the_first_frame_of_a_run_is_confirmed_at_once() -> None:
    assert ids_of(Tracker(TrackConfig(confirm=3)), boxes(0), 0) == [1]


def test_later_subjects_wait_for_their_confirmation() -> None:
    tracks = Tracker(TrackConfig(confirm=3))
    tracks.update(Boxes.empty(), 0)
    assert [ids_of(tracks, boxes(0), 0.1 * i) for i in (1, 2, 3)] == [[-1], [-1], [1]]


def test_a_newcomer_missed_once_is_still_confirmed_and_missed_twice_is_not() -> None:
    for misses, expected in ((1, [1]), (2, [-1])):
        tracks = Tracker(TrackConfig(confirm=2))
        for i, seen in enumerate([Boxes.empty(), boxes(0), *[Boxes.empty()] * misses]):
            tracks.update(seen, ns(0.1 * i))
        assert ids_of(tracks, boxes(0), 0.4) == expected


def test_an_id_is_never_used_twice() -> None:
    tracks = Tracker(TrackConfig(confirm=1, patience_s=0))
    tracks.update(boxes(0), 0)
    tracks.update(Boxes.empty(), ns(0.1))
    assert ids_of(tracks, boxes(0), 0.2) == [2]


@pytest.mark.parametrize(("gone_s", "expected"), [(1.9, [1]), (2.2, [2])], ids=["in time", "too late"])
def test_an_unseen_subject_keeps_its_id_for_the_patience(gone_s: float, expected: list[int]) -> None:
    tracks = Tracker(TrackConfig(confirm=1, patience_s=2))
    tracks.update(boxes(0), 0)
    for t_s in np.arange(0.1, gone_s, 0.1):
        tracks.update(Boxes.empty(), ns(float(t_s)))
    assert ids_of(tracks, boxes(0), gone_s) == expected


def test_after_an_outage_everybody_is_new() -> None:
    tracks = Tracker(AT_ONCE)
    tracks.update(boxes(0), 0)
    assert ids_of(tracks, boxes(0), 6) == [2]


def test_a_detector_slower_than_the_patience_still_gets_its_chance() -> None:
    tracks = Tracker(TrackConfig(confirm=1, patience_s=0.5))
    assert [ids_of(tracks, boxes(0), t) for t in (0, 1, 2)] == [[1], [1], [1]]


def test_walkers_who_cross_keep_their_ids_through_the_frames_that_show_only_one() -> None:
    tracks = Tracker(AT_ONCE)
    for i in range(40):  # they meet at 200 px in frame 20
        left, right = i * 10.0, 400 - i * 10.0
        seen = boxes(left) if abs(left - right) < 90 else boxes(left, right)
        ids = ids_of(tracks, seen, i / 30)
    assert ids == [1, 2]


def test_speed_is_per_second_not_per_frame() -> None:
    tracks = Tracker(AT_ONCE)
    walk(tracks)  # 100 px/s, last seen at 90 px at 0.9 s
    carried = [tracks.predict(ns(t))[1].xyxy[0, 0] for t in (0.9, 1.0, 1.2)]
    assert carried == pytest.approx([90, 100, 116], abs=4)


def test_an_unseen_subject_is_expected_to_slow_down() -> None:
    tracks = Tracker(AT_ONCE)
    walk(tracks)  # 100 px/s, last seen at 90 px; expected at about 170 px after 1.8 s, not at 270
    for t_s in np.arange(1.0, 2.7, 0.1):
        tracks.update(Boxes.empty(), ns(float(t_s)))
    assert ids_of(tracks, boxes(30), 2.7) == [1]


def test_a_carried_box_has_grown_with_its_subject() -> None:
    tracks = Tracker(AT_ONCE)
    for i in range(10):
        large = Boxes(
            xyxy=np.array([[0, 0, 100 + 10 * i, 100]], np.float32),
            score=np.ones(1, np.float32),
            label=np.zeros(1, np.int64),
        )
        tracks.update(large, ns(0.1 * i))
    x0, y0, x1, y1 = tracks.predict(ns(0.9))[1].xyxy[0]
    assert (x1 - x0, y1 - y0) == pytest.approx((190, 100), abs=10)


def test_a_newcomer_may_leap_out_of_its_box_between_slow_frames() -> None:
    tracks = Tracker(AT_ONCE)
    tracks.update(boxes(0), 0)
    assert ids_of(tracks, boxes(110), 0.5) == [1]


def test_a_steady_subject_does_not_leap() -> None:
    tracks = Tracker(AT_ONCE)
    walk(tracks, step_px=0, dt_s=0.03)
    assert ids_of(tracks, boxes(110), 0.3) == [2]


def test_carrying_changes_nothing() -> None:
    tracks = Tracker(AT_ONCE)
    walk(tracks)
    assert (tracks.predict(ns(1.5))[1].xyxy == tracks.predict(ns(1.5))[1].xyxy).all()
    assert ids_of(tracks, boxes(100), 1.0) == [1]


def test_carried_boxes_are_best_first_with_the_score_last_seen() -> None:
    tracks = Tracker(AT_ONCE)
    tracks.update(both(boxes(0, score=0.9), boxes(300, score=0.8)), 0)
    tracks.update(both(boxes(0, score=0.5), boxes(300, score=0.75)), 0)
    ids, carried = tracks.predict(ns(0.1))
    assert (ids.tolist(), carried.score.tolist()) == ([2, 1], [0.75, 0.5])


def test_unconfirmed_subjects_are_not_carried() -> None:
    tracks = Tracker(TrackConfig(confirm=2))
    tracks.update(Boxes.empty(), 0)
    tracks.update(boxes(0), ns(0.1))
    assert len(tracks.predict(ns(0.2))[0]) == 0


def test_a_subject_is_carried_over_one_missed_detection_not_two() -> None:
    tracks = Tracker(AT_ONCE)
    tracks.update(boxes(0), 0)
    carried = []
    for t_s in (0.1, 0.2):
        tracks.update(Boxes.empty(), ns(t_s))
        carried.append(tracks.predict(ns(t_s))[0].tolist())
    assert carried == [[1], []]


def test_who_is_not_followed_is_carried_for_a_moment_only_and_keeps_the_id() -> None:
    tracks = Tracker(AT_ONCE)
    tracks.update(boxes(0, 300), 0)
    for t_s in (0.2, 0.4):
        tracks.update_from_keypoints(np.array([2]), boxes(300), ns(t_s))
    assert [sorted(tracks.predict(ns(t))[0].tolist()) for t in (0.2, 0.5)] == [[1, 2], [2]]
    assert ids_of(tracks, boxes(0, 300), 0.6) == [1, 2]
    assert sorted(tracks.predict(ns(0.7))[0].tolist()) == [1, 2]


def test_slow_frames_do_not_stop_the_carrying() -> None:
    tracks = Tracker(AT_ONCE)
    tracks.update(boxes(0), 0)
    assert tracks.predict(ns(1))[0].tolist() == [1]


def test_following_moves_the_carried_box() -> None:
    tracks = Tracker(AT_ONCE)
    tracks.update(boxes(0, 300), 0)
    for i in range(1, 6):
        tracks.update_from_keypoints(np.array([2, 1]), boxes(300, 10 * i), ns(0.1 * i))
    ids, carried = tracks.predict(ns(0.6))
    assert dict(zip(ids.tolist(), carried.xyxy[:, 0].tolist(), strict=True)) == pytest.approx({1: 60, 2: 300}, abs=8)


def test_one_detection_of_another_class_neither_starts_a_subject_nor_changes_the_class() -> None:
    tracks = Tracker(AT_ONCE)
    for i in range(5):
        tracks.update(boxes(0, label=1), ns(0.1 * i))
    assert ids_of(tracks, boxes(0, label=0), 0.5) == [1]
    assert tracks.labels(np.array([1])).tolist() == [1]


def test_the_class_changes_when_the_majority_does() -> None:
    tracks = Tracker(AT_ONCE)
    for i, label in enumerate((1, 0, 0, 0)):
        ids = ids_of(tracks, boxes(0, label=label), 0.1 * i)
    assert (ids, tracks.labels(np.array(ids)).tolist()) == ([1], [0])


def test_one_subject_named_twice_in_a_frame_has_one_id() -> None:
    tracks = Tracker(AT_ONCE)
    twice = both(boxes(0, score=0.8, label=1), boxes(4, score=0.6, label=0))
    assert [ids_of(tracks, twice, t) for t in (0, 0.1, 0.2)] == [[1, -1]] * 3


def test_a_rider_and_the_horse_are_two() -> None:
    tracks = Tracker(AT_ONCE)
    pair = both(boxes(0, label=1), boxes(20, label=0, top=-50))
    assert [ids_of(tracks, pair, t) for t in (0, 0.1, 0.2)] == [[1, 2]] * 3


def test_faint_detections_continue_a_subject_but_start_none() -> None:
    tracks = Tracker(AT_ONCE, new_track_thresholds=np.array([0.5, 0.3], np.float32))
    assert ids_of(tracks, both(boxes(0, score=0.4), boxes(300, score=0.3, label=1)), 0) == [-1, 1]
    assert ids_of(tracks, boxes(300, score=0.25, label=1), 0.1) == [1]


def test_a_sure_detection_is_matched_before_a_better_placed_faint_one() -> None:
    tracks = Tracker(AT_ONCE, new_track_thresholds=0.5)
    tracks.update(boxes(0), 0)
    assert ids_of(tracks, both(boxes(0, score=0.3), boxes(20, score=0.6)), 0.1) == [-1, 1]


def test_a_known_subject_is_matched_before_a_newcomer() -> None:
    tracks = Tracker(TrackConfig(confirm=2))
    tracks.update(boxes(0), 0)
    tracks.update(boxes(0, 60), ns(0.1))
    assert ids_of(tracks, boxes(40), 0.2) == [1]


def test_no_overlap_is_never_a_match_even_at_limit_zero() -> None:
    tracks = Tracker(TrackConfig(confirm=1, iou=0))
    tracks.update(boxes(0), 0)
    assert ids_of(tracks, boxes(900), 0.1) == [2]


def test_after_an_outage_nobody_is_carried() -> None:
    tracks = Tracker(AT_ONCE)
    tracks.update(boxes(0), 0)
    assert tracks.predict(ns(6))[0].tolist() == []


def test_a_clock_set_back_costs_no_id() -> None:
    tracks = Tracker(AT_ONCE)
    assert [ids_of(tracks, boxes(0), t) for t in (100, 0, 4, 8)] == [[1]] * 4


def test_a_clock_set_back_does_not_stretch_the_patience() -> None:
    tracks = Tracker(AT_ONCE)
    tracks.update(boxes(0), ns(100))
    for t_s in (0, 3):
        tracks.update(Boxes.empty(), ns(t_s))
    assert ids_of(tracks, boxes(0), 3.1) == [2]


def test_after_a_cut_everybody_is_new_and_known_at_once() -> None:
    tracks = Tracker(TrackConfig(confirm=3))
    tracks.update(boxes(0), ns(50))
    tracks.reset()
    assert ids_of(tracks, boxes(0), 0) == [2]


def test_time_that_stands_still_or_runs_back_is_harmless() -> None:
    tracks = Tracker(AT_ONCE)
    assert [ids_of(tracks, boxes(0), t) for t in (1, 1, 0.5, 1.1)] == [[1]] * 4


def test_boxes_of_no_size_do_no_harm() -> None:
    point = Boxes(xyxy=np.zeros((1, 4), np.float32), score=np.ones(1, np.float32), label=np.zeros(1, np.int64))
    tracks = Tracker(AT_ONCE)
    for t_s in (0, 0.1):
        tracks.update(point, ns(t_s))
    assert np.isfinite(tracks.predict(ns(0.2))[1].xyxy).all()


BOX = np.array([0, 0, 100, 200], np.float32)


def keypoints(*points: tuple[float, float, float]) -> F32:
    return np.array(points, np.float32)


def test_a_box_that_holds_its_keypoints_stays() -> None:
    seen = keypoints((10, 20, 0.9), (90, 30, 0.9), (50, 60, 0.9))
    assert box_from_keypoints(seen, 0.3, BOX) == pytest.approx(BOX)


def test_a_box_moves_just_enough_to_hold_its_keypoints() -> None:
    seen = keypoints((120, 20, 0.9), (90, 30, 0.9), (50, 60, 0.9))
    assert box_from_keypoints(seen, 0.3, BOX) == pytest.approx([20, 0, 120, 200])


def test_a_box_grows_only_when_moving_is_not_enough() -> None:
    seen = keypoints((-20, 20, 0.9), (110, 30, 0.9), (50, 60, 0.9))
    assert box_from_keypoints(seen, 0.3, BOX) == pytest.approx([-20, 0, 110, 200])


def test_unsure_and_broken_keypoints_do_not_move_a_box() -> None:
    seen = keypoints((10, 20, 0.9), (90, 30, 0.9), (50, 60, 0.9), (900, 900, 0.2), (np.nan, 900, 0.9))
    assert box_from_keypoints(seen, 0.3, BOX) == pytest.approx(BOX)


def test_too_few_sure_keypoints_give_no_box() -> None:
    assert box_from_keypoints(keypoints((10, 20, 0.9), (90, 30, 0.9), (50, 60, 0.1)), 0.3, BOX) is None
