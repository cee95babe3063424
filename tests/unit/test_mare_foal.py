"""A mare and her foal are distinguished by their size and their tracks."""

from __future__ import annotations

from edged.behaviour.horse.mare_foal import MareFoalAssigner
from edged.frame import TrackedSubject
from tests.support.stall import subject


def horse(number: int, size_px: float) -> TrackedSubject:
    return subject("horse", number=number, box=(0, 0, size_px, size_px / 2))


MARE, FOAL = horse(1, 400), horse(2, 180)


def ids(assigner: MareFoalAssigner, *horses: TrackedSubject) -> tuple[int | None, int | None]:
    mare, foal = assigner.assign(horses)
    return mare.id if mare else None, foal.id if foal else None


def learned() -> MareFoalAssigner:
    assigner = MareFoalAssigner()
    for _ in range(20):
        assigner.assign([MARE, FOAL])
    return assigner


def test_larger_of_two_new_tracks_is_the_mare() -> None:
    assert ids(MareFoalAssigner(), FOAL, MARE) == (1, 2)


def test_foal_close_to_the_camera_is_still_the_foal() -> None:
    assert ids(learned(), horse(1, 300), horse(2, 320)) == (1, 2)


def test_single_known_track_keeps_its_role() -> None:
    assigner = learned()
    assert (ids(assigner, FOAL), ids(assigner, MARE), ids(assigner)) == ((None, 2), (1, None), (None, None))


def test_single_new_track_is_the_mare_while_her_size_is_unknown() -> None:
    assert ids(MareFoalAssigner(), horse(7, 180)) == (7, None)


def test_single_small_new_track_is_the_foal_when_the_mare_is_known() -> None:
    assigner = learned()
    assert (ids(assigner, horse(8, 180)), ids(assigner, horse(9, 390))) == ((None, 8), (9, None))
