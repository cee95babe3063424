"""Boxes moved onto their keypoints, and a box's motion by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edged.frame import F32
from edged.tracking.motion import (
    ACCEL_PSD,
    BOX_STD,
    INITIAL_SPEED_STD,
    MAX_GATE,
    VELOCITY_DECAY_S,
    BoxMotion,
    box_from_keypoints,
)

BOX = np.array([0, 0, 100, 200], np.float32)


def keypoints(*points: tuple[float, float, float]) -> F32:
    return np.array(points, np.float32)


def test_box_around_its_keypoints_stays() -> None:
    found = keypoints((10, 20, 0.9), (90, 30, 0.9), (50, 60, 0.9))
    assert box_from_keypoints(found, 0.3, BOX) == pytest.approx(BOX)


def test_box_moves_just_enough_to_contain_its_keypoints() -> None:
    found = keypoints((120, 20, 0.9), (90, 30, 0.9), (50, 60, 0.9))
    assert box_from_keypoints(found, 0.3, BOX) == pytest.approx([20, 0, 120, 200])


def test_box_grows_only_when_moving_is_not_enough() -> None:
    found = keypoints((-20, 20, 0.9), (110, 30, 0.9), (50, 60, 0.9))
    assert box_from_keypoints(found, 0.3, BOX) == pytest.approx([-20, 0, 110, 200])


def test_low_and_nan_keypoints_do_not_move_a_box() -> None:
    found = keypoints((10, 20, 0.9), (90, 30, 0.9), (50, 60, 0.9), (900, 900, 0.2), (np.nan, 900, 0.9))
    assert box_from_keypoints(found, 0.3, BOX) == pytest.approx(BOX)


def test_too_few_confident_keypoints_give_no_box() -> None:
    assert box_from_keypoints(keypoints((10, 20, 0.9), (90, 30, 0.9), (50, 60, 0.1)), 0.3, BOX) is None


def test_position_variance_grows_with_speed_and_acceleration() -> None:
    motion = BoxMotion.at_rest((0, 0, 100, 100))
    motion.predict(0.5)
    assert motion.position_var == pytest.approx(BOX_STD**2 + INITIAL_SPEED_STD**2 * 0.25 + ACCEL_PSD * 0.125 / 3)
    assert motion.speed_var == pytest.approx(INITIAL_SPEED_STD**2 + ACCEL_PSD * 0.5)


def test_speed_decays_and_the_path_is_its_integral() -> None:
    motion = BoxMotion.at_rest((0, 0, 100, 100))
    motion.vx = 100
    motion.predict(VELOCITY_DECAY_S)
    assert motion.vx == pytest.approx(100 / math.e)
    assert motion.x == pytest.approx(50 + 100 * VELOCITY_DECAY_S * (1 - 1 / math.e))


def test_correction_takes_the_kalman_gain_of_the_way() -> None:
    motion = BoxMotion.at_rest((0, 0, 100, 100))
    gain = motion.position_var / (motion.position_var + 0.12**2)
    motion.correct((10, 0, 130, 100), 0.12)
    assert (motion.x, motion.w) == pytest.approx((50 + gain * 20, 100 + gain * 20))
    assert motion.position_var == pytest.approx(BOX_STD**2 * (1 - gain))


def test_gate_is_the_position_error_up_to_a_limit() -> None:
    motion = BoxMotion.at_rest((0, 0, 100, 100))
    assert motion.gate_px == pytest.approx(100 * BOX_STD)
    motion.predict(10)
    assert motion.gate_px == pytest.approx(100 * MAX_GATE)
