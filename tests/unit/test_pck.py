"""The metric that the accuracy figures are stated in."""

import numpy as np
import pytest

from tools.evaluate.pck import pck, torso

TRUTH = np.array([[[0, 0], [10, 0], [0, 10]], [[0, 0], [0, 20], [5, 5]]], float)
ALL = np.ones((2, 3), bool)


def test_the_truth_itself_is_all_right() -> None:
    assert pck(TRUTH, TRUTH, ALL, np.full(2, 10.0), 0.2) == 1


def test_a_keypoint_at_exactly_the_limit_is_wrong() -> None:
    found = TRUTH.copy()
    found[0, 1, 0] += 2
    assert pck(found, TRUTH, ALL, np.full(2, 10.0), 0.2) == pytest.approx(5 / 6)


def test_every_subject_is_measured_by_its_own_length() -> None:
    assert pck(TRUTH + np.array([3.0, 0.0]), TRUTH, ALL, np.array([10.0, 20.0]), 0.2) == 0.5


def test_a_missed_subject_is_wrong() -> None:
    found = TRUTH.copy()
    found[1] = np.nan
    assert pck(found, TRUTH, ALL, np.full(2, 10.0), 0.2) == 0.5


def test_keypoints_that_do_not_count_change_nothing() -> None:
    found, counted = TRUTH.copy(), ALL.copy()
    found[0, 0], counted[0, 0] = 99, False
    assert pck(found, TRUTH, counted, np.full(2, 10.0), 0.2) == 1


def test_without_a_keypoint_to_count_there_is_no_figure() -> None:
    assert np.isnan(pck(TRUTH, TRUTH, ~ALL, np.ones(2), 0.2))


def test_nothing_counts_on_a_subject_whose_torso_has_a_hidden_end() -> None:
    visible = ALL.copy()
    visible[1, 0] = False
    length_px, counted = torso(TRUTH, visible, (0, 1))
    assert length_px.tolist() == [10, 20]
    assert counted.tolist() == [[True] * 3, [False] * 3]
