"""MPJPE and its relatives: known motions leave known errors."""

import numpy as np
import pytest

from tools.metrics import space

TRUTH = np.random.default_rng(3).normal(0, 300, (5, 17, 3)) + np.array([0.0, 0, 4000])
TURN = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
ROOT = 0


def test_translated_pose_has_a_root_error_only() -> None:
    found = TRUTH + np.array([30.0, 0, 40])
    assert space.mpjpe(found, TRUTH, ROOT) == pytest.approx(0, abs=1e-9)
    assert space.mrpe(found[:, ROOT], TRUTH[:, ROOT]) == pytest.approx((50, 30, 0, 40))


def test_one_joint_of_17_off_by_17_mm_has_mpjpe_1() -> None:
    found = TRUTH.copy()
    found[:, 5, 1] += 17
    assert space.mpjpe(found, TRUTH, ROOT) == pytest.approx(1)


def test_rotated_pose_has_no_error_after_rigid_alignment() -> None:
    found = TRUTH @ TURN.T + 5
    assert space.mpjpe(found, TRUTH, ROOT) > 100
    assert space.pa_mpjpe_rigid(found, TRUTH) == pytest.approx(0, abs=1e-6)


def test_scaled_pose_has_no_error_after_similarity_alignment_only() -> None:
    found = 1.3 * TRUTH @ TURN.T
    assert space.pa_mpjpe_rigid(found, TRUTH) > 50
    assert space.pa_mpjpe_similarity(found, TRUTH) == pytest.approx(0, abs=1e-6)


def test_n_mpjpe_aligns_scale_but_not_rotation() -> None:
    assert space.n_mpjpe(1.3 * TRUTH + 7, TRUTH, ROOT) == pytest.approx(0, abs=1e-6)
    assert space.n_mpjpe(TRUTH @ TURN.T, TRUTH, ROOT) > 100


@pytest.mark.parametrize("scale", [False, True])
def test_alignment_does_not_mirror(scale: bool) -> None:
    assert space.distances_mm(space.aligned(TRUTH * [-1, 1, 1], TRUTH, scale=scale), TRUTH).mean() > 50


def test_similarity_error_is_invariant_to_motion_of_the_answer() -> None:
    found = TRUTH + np.random.default_rng(4).normal(0, 40, TRUTH.shape)
    moved = 0.7 * found @ TURN.T + [1, 2, 3]
    assert space.pa_mpjpe_similarity(moved, TRUTH) == pytest.approx(space.pa_mpjpe_similarity(found, TRUTH))


def test_joint_at_exactly_150_mm_is_not_counted_as_correct() -> None:
    found = TRUTH.copy()
    found[:, 1] = TRUTH[:, 1] + [0, 0, 151]
    found[:, 2] = TRUTH[:, 2] + [0, 0, 149]
    assert space.pck3d(found, TRUTH, ROOT) == pytest.approx(16 / 17)
    exactly = np.zeros((1, 2, 3))
    exactly[0, 1, 2] = 150
    assert space.pck3d(exactly, np.zeros((1, 2, 3)), ROOT) == 0.5


def test_area_under_the_curve_of_a_constant_error() -> None:
    found, truth = np.zeros((1, 2, 3)), np.zeros((1, 2, 3))
    found[0, 1, 0] = 72.0
    assert space.auc3d(found, truth, ROOT) == pytest.approx((30 / 31 + 16 / 31) / 2)  # the root always, but at 0


def test_pose_collapsed_to_a_point_has_the_mean_distance_as_error() -> None:
    truth = np.array([[[0.0, 0, 0], [-30, 0, 0], [30, 0, 0]]])
    assert space.pa_mpjpe_similarity(truth * 0, truth) == pytest.approx(20)
    assert space.n_mpjpe(truth * 0, truth, ROOT) == pytest.approx(20)


def test_angle_error_is_that_of_the_limbs_directions_whatever_their_length() -> None:
    truth = np.array([[[0.0, 0, 0], [0, 100, 0], [0, 200, 0]]])
    found = np.array([[[9.0, 9, 9], [9, 59, 9], [59, 59, 9]]])  # the second limb at right angles, both of half length
    assert space.mpjae(found, truth, [(0, 1)]) == pytest.approx(0)
    assert space.mpjae(found, truth, [(0, 1), (1, 2)]) == pytest.approx(45)
    assert space.mpjae(found * 0, truth, [(0, 1)]) == pytest.approx(90)  # no length
