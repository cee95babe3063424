"""Which tracks are people: a lasting one that moves, not a bucket or a shadow."""

from __future__ import annotations

import math

import pytest

from edged.behaviour.horse.people import PersonPresence
from edged.behaviour.horse.thresholds import People as T
from edged.frame import TrackedSubject
from tests.support.stall import subject


def person(x: float, *, number: int = 1, detected: bool = True) -> TrackedSubject:
    return subject("person", number=number, box=(x, 0, x + 20, 60), detected=detected)


def presence(places: list[float], *, detected: bool = True) -> PersonPresence:
    """After ten frames a second, a track of class person at each of these places."""
    people = PersonPresence()
    for number, x in enumerate(places):
        people.update(number / 10, [person(x, detected=detected)])
    return people


def test_track_that_walks_in_is_a_person_wherever_it_stands_later() -> None:
    walked = [2.0 * n for n in range(30)]
    assert presence([*walked, *[60.0] * 50]).last_person_s == pytest.approx(7.9)


@pytest.mark.parametrize(
    "places",
    [[0.0] * 600, [9.0 * (-1) ** n for n in range(600)], [40.0 * n for n in range(6)]],
    ids=["bucket", "trembling box", "shadow that passes"],
)
def test_short_or_motionless_track_is_not_a_person(places: list[float]) -> None:
    assert presence(places).last_person_s == -math.inf


def test_predicted_boxes_are_no_evidence_of_a_person() -> None:
    assert presence([2.0 * n for n in range(60)], detected=False).last_person_s == -math.inf


def test_new_track_is_activity_and_an_old_one_that_stays_is_not() -> None:
    assert presence([0.0] * 5).last_activity_s == pytest.approx(0.4)
    assert presence([0.0] * 600).last_activity_s == pytest.approx(T.new_s, abs=0.2)


def test_person_next_to_a_bucket_is_found_by_the_moving_track() -> None:
    people = PersonPresence()
    for n in range(50):
        people.update(n / 10, [person(0, number=1), person(4.0 * n, number=2)])
    assert people.last_person_s == pytest.approx(4.9)


def test_expired_track_id_starts_as_a_new_track() -> None:
    people = presence([2.0 * n for n in range(30)])
    people.update(3 + 1.5 * T.forget_s, [])
    for n in range(50):
        people.update(3 + 2 * T.forget_s + n / 10, [person(60.0)])
    assert people.last_person_s == pytest.approx(2.9)
