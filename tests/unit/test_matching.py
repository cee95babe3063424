"""Match scores and their assignment."""

from __future__ import annotations

import numpy as np
import pytest

from edged.tracking.matching import OTHER_CLASS_PENALTY, assign, match_scores

BOX = np.array([[0, 0, 100, 100]], np.float32)
FREE = np.full(2, -1, np.int64)
ALL = np.ones((2, 2), bool)


@pytest.mark.parametrize(
    ("left", "gate_px", "same_class", "score"),
    [
        pytest.param(0, 0, True, 1.0, id="the same box"),
        pytest.param(50, 0, True, 1 / 3, id="half of it"),
        pytest.param(200, 0, True, 0.0, id="apart"),
        pytest.param(110, 10, True, 10 * 120 / (2 * 120**2 - 10 * 120), id="apart, inside the gate"),
        pytest.param(0, 0, False, 1 - OTHER_CLASS_PENALTY, id="another class"),
        pytest.param(80, 0, False, 0.0, id="another class, never below zero"),
    ],
)
def test_match_score(left: float, gate_px: float, same_class: bool, score: float) -> None:
    scores = match_scores(
        BOX, np.array([gate_px], np.float32), np.array([[same_class]]), BOX + np.array([left, 0, left, 0], np.float32)
    )
    assert scores.tolist() == [[pytest.approx(score)]]


@pytest.mark.parametrize(
    ("scores", "assigned"),
    [
        pytest.param([[0.9, 0.8], [0.7, 0.1]], [0, 1], id="best first"),
        pytest.param([[0.5, 0.5], [0.5, 0.5]], [0, 1], id="a tie goes to the first track and detection"),
        pytest.param([[0.0, 0.0], [0.0, 0.3]], [-1, 1], id="a score of 0 is no match"),
    ],
)
def test_assignment_is_one_to_one(scores: list[list[float]], assigned: list[int]) -> None:
    assert assign(np.array(scores, np.float32), ALL, FREE).tolist() == assigned


def test_assignment_keeps_earlier_ones() -> None:
    earlier = np.array([1, -1])
    assert assign(np.array([[0.9, 0.1], [0.9, 0.9]], np.float32), ALL, earlier).tolist() == [1, 0]
    assert earlier.tolist() == [1, -1]


def test_only_allowed_pairs_are_assigned() -> None:
    assert assign(np.ones((2, 2), np.float32), np.eye(2, dtype=bool)[::-1], FREE).tolist() == [1, 0]
    assert assign(np.ones((2, 2), np.float32), ~ALL, FREE).tolist() == [-1, -1]
