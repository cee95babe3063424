"""Ids over whole scenes, scored against the truth; and the score itself on cases counted by hand."""

from __future__ import annotations

import numpy as np

from edged.frame import Boxes
from tools.tracking.scenes import Scene, Step
from tools.tracking.score import TrackingScore
from tools.tracking.trackers import TRACKERS

BOX = np.array([[0, 0, 10, 10]], np.float32)


def scored(*ids: int | None, hidden: tuple[int, ...] = ()) -> TrackingScore:
    """One subject standing still, given these ids frame by frame; None: no box."""
    score = TrackingScore()
    for i, track in enumerate(ids):
        step = Step(t_ns=i, xyxy=BOX, hidden=np.array([i in hidden]), boxes=Boxes.empty())
        published = np.array([] if track is None else [track], np.int64)
        score.add(step, published, BOX[: len(published)])
    score.new_scene()
    return score


def test_one_id_throughout_is_perfect() -> None:
    assert (scored(1, 1, 1, 1).idf1, scored(1, 1, 1, 1).mota) == (1.0, 1.0)


def test_changed_id_is_a_switch_and_halves_idf1() -> None:
    score = scored(1, 1, 2, 2)
    assert (score.switches, score.idf1, score.mota) == (1, 0.5, 0.75)


def test_missing_box_is_a_miss_and_a_fragmentation() -> None:
    score = scored(1, None, 1, 1)
    assert (score.missed, score.fragmentations, score.switches) == (1, 1, 0)


def test_hidden_frames_are_not_counted() -> None:
    score = scored(1, None, 1, 1, hidden=(1,))
    assert (score.idf1, score.fragmentations, score.truths) == (1.0, 0, 3)


def test_four_people_in_a_room_keep_their_ids() -> None:
    scene = Scene(name="room", subjects=4, fps=(10, 30), missed=0.2, hides_per_s=0.02, seconds=20)
    score = TrackingScore()
    for seed in range(3):
        tracker = TRACKERS["edged"](20)
        for step in scene.steps(seed):
            ids = tracker.update(step.boxes, step.t_ns)
            score.add(step, ids[ids > 0], step.boxes.xyxy[ids > 0])
        score.new_scene()
    assert (score.idf1 > 0.8, score.mota > 0.85) == (True, True), (score.idf1, score.mota, score.switches)
