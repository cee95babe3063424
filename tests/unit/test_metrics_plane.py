"""PCK by joint, AUC and EPE, by hand."""

import numpy as np
import pytest

from edged.frame import F64
from tools.metrics.plane import auc, epe, pck_by_joint, pck_mean

TRUTH = np.array([[[0.0, 0], [10, 0]], [[0, 0], [20, 0]]])
ALL = np.ones((2, 2), bool)


def _off(*px: float) -> F64:
    moved: F64 = TRUTH + np.array(px).reshape(2, 2, 1) * np.array([0.0, 1.0])
    return moved


def test_pck_is_computed_per_joint() -> None:
    assert pck_by_joint(_off(0, 9, 0, 0), TRUTH, ALL, np.full(2, 10.0), 0.5).tolist() == [1, 0.5]


def test_mean_pck_weighs_every_joint_alike() -> None:
    counted = np.array([[True, True], [True, False]])
    assert pck_mean(_off(0, 9, 0, 0), TRUTH, counted, np.full(2, 10.0), 0.5) == 0.5


def test_mean_pck_omits_joints_without_counted_keypoints() -> None:
    counted = np.array([[True, False], [True, False]])
    assert pck_mean(_off(0, 99, 0, 99), TRUTH, counted, np.full(2, 10.0), 0.5) == 1


def test_area_under_the_curve_of_a_constant_error() -> None:
    assert auc(_off(14, 14, 14, 14), TRUTH, ALL) == pytest.approx(10 / 20)  # 0.5 … 0.95 of 30 px


def test_auc_of_the_truth_fails_only_at_threshold_0() -> None:
    assert auc(TRUTH, TRUTH, ALL) == pytest.approx(19 / 20)


def test_epe_is_the_mean_over_found_keypoints() -> None:
    found = _off(1, 3, 0, 0)
    found[1] = np.nan
    assert epe(found, TRUTH, ALL) == 2
    assert np.isnan(epe(found, TRUTH, ~ALL))
