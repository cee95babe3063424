"""Observations become states: what flickers changes nothing."""

from __future__ import annotations

from edged.behaviour.monitor import PresenceFilter
from edged.behaviour.types import CameraObservation, SceneState
from edged.units import NS_PER_S

STEP_NS = NS_PER_S // 2


def observations(*horses: int | None) -> list[CameraObservation]:
    """One every half second: the number of horses, or None for a dark image."""
    return [
        CameraObservation(t_ns=i * STEP_NS, view="degraded", degraded=("dark",))
        if count is None
        else CameraObservation(t_ns=i * STEP_NS, view="ok", counts={"horse": count, "person": 0})
        for i, count in enumerate(horses)
    ]


def states(made: list[CameraObservation]) -> list[SceneState]:
    presence = PresenceFilter()
    return [state for one in made if (state := presence.update(one))]


def test_subject_missed_twice_has_not_left() -> None:
    assert [s.counts for s in states(observations(*[1] * 8, 0, 0, *[1] * 8))] == [{"horse": 1, "person": 0}]


def test_subject_that_left_changes_the_state_once() -> None:
    assert [s.counts and s.counts["horse"] for s in states(observations(*[1] * 8, *[0] * 8))] == [1, 0]


def test_change_is_dated_when_most_observations_show_it() -> None:
    assert 8 * STEP_NS < states(observations(*[1] * 8, *[0] * 8))[1].since_ns <= 12 * STEP_NS


def test_too_few_observations_make_no_state() -> None:
    assert states(observations(1, 1, 1)) == []


def test_dark_image_has_its_faults_and_no_counts() -> None:
    dark = states(observations(*[1] * 8, *[None] * 8))[1]
    assert (dark.view, dark.degraded, dark.counts) == ("degraded", ("dark",), None)


def test_single_dark_frame_changes_nothing() -> None:
    assert len(states(observations(*[1] * 8, None, *[1] * 8))) == 1


def test_lost_camera_changes_the_state_at_once_without_counts() -> None:
    made = [*observations(*[1] * 8), CameraObservation(t_ns=9 * STEP_NS, view="lost", reason="unplugged")]
    assert states(made)[-1] == SceneState(view="lost", degraded=(), counts=None, since_ns=9 * STEP_NS)


def test_observations_before_an_outage_do_not_count_after_it() -> None:
    presence = PresenceFilter()
    for one in observations(*[1] * 8):
        presence.update(one)
    presence.update(CameraObservation(t_ns=9 * STEP_NS, view="lost"))
    assert presence.update(CameraObservation(t_ns=10 * STEP_NS, view="ok", counts={"horse": 0})) is None
