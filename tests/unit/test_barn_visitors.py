"""Who is somebody: a person's box is not enough, one that stays and goes about is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edged.behaviour.horse.people import GONE_S, NEW_S, PersonPresence
from edged.frame import BoxSource, TrackedSubject


def person(x: float, *, number: int = 1, box_source: BoxSource = "detected") -> TrackedSubject:
    box = np.array([x, 0, x + 20, 60], np.float32)
    return TrackedSubject(
        id=number,
        label="person",
        score=0.9,
        xyxy=box,
        keypoints=None,
        smoothed=None,
        schema=None,
        box_source=box_source,
    )  # fmt: skip


def seen(places: list[float], *, box_source: BoxSource = "detected") -> PersonPresence:
    """Ten frames a second, somebody at each of these places."""
    visitors = PersonPresence()
    for number, x in enumerate(places):
        visitors.update(number / 10, [person(x, box_source=box_source)])
    return visitors


def test_who_walks_in_is_somebody_from_then_on_wherever_they_stand() -> None:
    walked = [2.0 * n for n in range(30)]
    assert seen([*walked, *[60.0] * 50]).last_person_s == pytest.approx(7.9)


@pytest.mark.parametrize(
    "places",
    [
        [0.0] * 600,  # a bucket
        [9.0 * (-1) ** n for n in range(600)],  # one whose box trembles by half its width
        [40.0 * n for n in range(6)],  # a shadow that passes
    ],
)
def test_what_stays_in_its_place_or_passes_in_an_instant_is_nobody(places: list[float]) -> None:
    assert seen(places).last_person_s == -math.inf


def test_tracked_box_is_no_evidence_of_a_person() -> None:
    assert seen([2.0 * n for n in range(60)], box_source="tracked").last_person_s == -math.inf


def test_what_is_new_may_be_somebody_and_what_stays_is_furniture() -> None:
    assert seen([0.0] * 5).last_activity_s == pytest.approx(0.4)
    assert seen([0.0] * 600).last_activity_s == pytest.approx(NEW_S, abs=0.2)


def test_two_are_told_apart_and_who_is_gone_is_forgotten() -> None:
    visitors = PersonPresence()
    for n in range(50):
        visitors.update(n / 10, [person(0, number=1), person(4.0 * n, number=2)])
    assert visitors.last_person_s == pytest.approx(4.9)
    for n in range(1000):
        visitors.update(5 + n, [person(0, number=3 + n)])
    assert len(visitors._tracks) <= GONE_S + 1
    assert visitors.last_person_s == pytest.approx(4.9)
