"""People in pictures of stalls are made unrecognisable."""

from __future__ import annotations

import numpy as np

from edged.drawing.privacy import PeopleBlur, blur_people
from edged.frame import U8
from tests.support.stall import result, subject


def noise() -> U8:
    return np.random.default_rng(1).integers(0, 255, (100, 100, 3), np.uint8)


def test_person_is_pixelated_with_a_margin_and_the_rest_stays() -> None:
    image = noise()
    blur_people(image, [np.array([20, 20, 60, 80], np.float32)])
    changed = (image != noise()).any(axis=2)
    assert changed[11:89, 14:66].mean() > 0.95
    assert not changed[:10].any()
    assert not changed[:, 70:].any()
    assert len(np.unique(image[20:80, 20:60].reshape(-1, 3), axis=0)) < 150


def test_boxes_outside_and_at_the_border_change_nothing_else() -> None:
    image = noise()
    blur_people(image, [np.array([-50, -50, -20, -20], np.float32), np.array([95, 95, 300, 300], np.float32)])
    assert (image[:60, :60] == noise()[:60, :60]).all()
    assert (image[99, 99] != noise()[99, 99]).any()


def test_person_missed_in_a_frame_stays_hidden_for_two_seconds() -> None:
    blur = PeopleBlur()
    blur.record(result(subject("person", box=(0, 0, 10, 10)), subject("horse"), t_s=0.0))
    blur.record(result(t_s=1.9))
    assert len(blur.boxes) == 1
    blur.record(result(t_s=2.1))
    assert blur.boxes == []
