"""A mare and her foal: told apart by their size and their tracks, and the foal by name in what is published."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edged.behaviour.horse.mare_foal import MareFoalAssigner
from edged.frame import TrackedSubject
from tests.unit.test_barn_stall import subject


def horse(number: int, size_px: float) -> TrackedSubject:
    return replace(subject("horse"), id=number, xyxy=np.array([0, 0, size_px, size_px / 2], np.float32))


MARE, FOAL = horse(1, 400), horse(2, 180)


def ids(pair: MareFoalAssigner, *seen: TrackedSubject) -> tuple[int | None, int | None]:
    mare, foal = pair.assign(seen)
    return mare.id if mare else None, foal.id if foal else None


def test_the_larger_one_is_the_mare() -> None:
    assert ids(MareFoalAssigner(), FOAL, MARE) == (1, 2)


def test_a_foal_close_to_the_camera_is_still_the_foal() -> None:
    pair = MareFoalAssigner()
    for _ in range(20):
        pair.assign([MARE, FOAL])
    assert ids(pair, horse(1, 300), horse(2, 320)) == (1, 2)


def test_who_is_alone_is_who_it_was() -> None:
    pair = MareFoalAssigner()
    for _ in range(20):
        pair.assign([MARE, FOAL])
    assert (ids(pair, FOAL), ids(pair, MARE), ids(pair)) == ((None, 2), (1, None), (None, None))


def test_a_new_track_that_is_small_is_the_foal_once_the_mare_is_known() -> None:
    pair = MareFoalAssigner()
    assert ids(pair, horse(7, 180)) == (7, None)  # nobody knows better yet
    for _ in range(20):
        pair.assign([MARE, FOAL])
    assert (ids(pair, horse(8, 180)), ids(pair, horse(9, 390))) == ((None, 8), (9, None))
