"""Looks become situations: what flickers does not change what goes on."""

from __future__ import annotations

from edged.behaviour.presence import CameraObservation, PresenceFilter, SceneState
from edged.units import NS_PER_S

STEP_NS = NS_PER_S // 2


def looks(*horses: int | None) -> list[CameraObservation]:
    """One look every half second: so many horses, None when the image is dark."""
    return [
        CameraObservation(t_ns=i * STEP_NS, view="degraded", degraded=("dark",))
        if count is None
        else CameraObservation(t_ns=i * STEP_NS, view="ok", counts={"horse": count, "person": 0})
        for i, count in enumerate(horses)
    ]


def situations(made: list[CameraObservation]) -> list[SceneState]:
    scene = PresenceFilter()
    return [situation for look in made if (situation := scene.update(look))]


def test_a_subject_missed_in_two_looks_has_not_left() -> None:
    assert [s.counts for s in situations(looks(*[1] * 8, 0, 0, *[1] * 8))] == [{"horse": 1, "person": 0}]


def test_a_subject_that_left_is_gone_once() -> None:
    told = situations(looks(*[1] * 8, *[0] * 8))
    assert [s.counts and s.counts["horse"] for s in told] == [1, 0]


def test_the_change_is_dated_when_it_became_the_usual_thing() -> None:
    told = situations(looks(*[1] * 8, *[0] * 8))
    assert 8 * STEP_NS < told[1].since_ns <= 12 * STEP_NS


def test_nothing_is_said_before_there_were_enough_looks() -> None:
    assert situations(looks(1, 1, 1)) == []


def test_a_dark_image_says_why_and_not_who_is_there() -> None:
    told = situations(looks(*[1] * 8, *[None] * 8))
    assert (told[1].view, told[1].degraded, told[1].counts) == ("degraded", ("dark",), None)


def test_a_single_dark_frame_changes_nothing() -> None:
    assert len(situations(looks(*[1] * 8, None, *[1] * 8))) == 1


def test_a_lost_camera_is_said_at_once_and_nobody_is_present() -> None:
    made = [*looks(*[1] * 8), CameraObservation(t_ns=9 * STEP_NS, view="lost", reason="unplugged")]
    assert situations(made)[-1] == SceneState(view="lost", degraded=(), counts=None, since_ns=9 * STEP_NS)


def test_what_was_seen_before_an_outage_is_not_believed_after_it() -> None:
    scene = PresenceFilter()
    for look in looks(*[1] * 8):
        scene.update(look)
    scene.update(CameraObservation(t_ns=9 * STEP_NS, view="lost"))
    assert scene.update(CameraObservation(t_ns=10 * STEP_NS, view="ok", counts={"horse": 0})) is None
