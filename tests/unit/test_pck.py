"""PCK, the metric of the accuracy figures."""

import numpy as np
import pytest

from tools.metrics.pck import pck, torso

TRUTH = np.array([[[0, 0], [10, 0], [0, 10]], [[0, 0], [0, 20], [5, 5]]], float)
ALL = np.ones((2, 3), bool)


def test_pck_of_the_truth_is_1() -> None:
    assert pck(TRUTH, TRUTH, ALL, np.full(2, 10.0), 0.2) == 1


def test_keypoint_at_exactly_the_limit_is_not_correct() -> None:
    found = TRUTH.copy()
    found[0, 1, 0] += 2
    assert pck(found, TRUTH, ALL, np.full(2, 10.0), 0.2) == pytest.approx(5 / 6)


def test_pck_limit_is_per_subject() -> None:
    assert pck(TRUTH + np.array([3.0, 0.0]), TRUTH, ALL, np.array([10.0, 20.0]), 0.2) == 0.5


def test_missed_subject_has_no_correct_keypoints() -> None:
    found = TRUTH.copy()
    found[1] = np.nan
    assert pck(found, TRUTH, ALL, np.full(2, 10.0), 0.2) == 0.5


def test_uncounted_keypoints_do_not_change_pck() -> None:
    found, counted = TRUTH.copy(), ALL.copy()
    found[0, 0], counted[0, 0] = 99, False
    assert pck(found, TRUTH, counted, np.full(2, 10.0), 0.2) == 1


def test_pck_is_nan_without_counted_keypoints() -> None:
    assert np.isnan(pck(TRUTH, TRUTH, ~ALL, np.ones(2), 0.2))


def test_subject_with_a_hidden_torso_end_is_not_counted() -> None:
    visible = ALL.copy()
    visible[1, 0] = False
    length_px, counted = torso(TRUTH, visible, (0, 1))
    assert length_px.tolist() == [10, 20]
    assert counted.tolist() == [[True] * 3, [False] * 3]
