"""Observations become states: what flickers changes nothing."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from edged.behaviour.monitor import PresenceFilter
from edged.behaviour.types import CameraObservation, SceneState, StallState
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


def test_faults_that_take_turns_are_all_named() -> None:
    made = [replace(one, degraded=(("dark",), ("blurred",))[i % 2]) for i, one in enumerate(observations(*[None] * 9))]
    assert ("blurred", "dark") in [state.degraded for state in states(made)]
    assert () not in [state.degraded for state in states(made)]


def test_single_dark_frame_changes_nothing() -> None:
    assert len(states(observations(*[1] * 8, None, *[1] * 8))) == 1


def test_single_dark_frame_of_a_stall_leaves_what_is_known_of_it() -> None:
    lying = StallState(posture="sternal", person_present=True)
    made = [replace(one, stall=lying if one.view == "ok" else None) for one in observations(*[1] * 8, None, *[1] * 8)]
    assert [(state.stall, state.counts) for state in states(made)] == [(lying, {"horse": 1})]


def test_lost_camera_changes_the_state_at_once_without_counts() -> None:
    made = [*observations(*[1] * 8), CameraObservation(t_ns=9 * STEP_NS, view="lost", reason="unplugged")]
    assert states(made)[-1] == SceneState(view="lost", degraded=(), counts=None, since_ns=9 * STEP_NS)


def test_observations_before_an_outage_do_not_count_after_it() -> None:
    presence = PresenceFilter()
    for one in observations(*[1] * 8):
        presence.update(one)
    presence.update(CameraObservation(t_ns=9 * STEP_NS, view="lost"))
    assert presence.update(CameraObservation(t_ns=10 * STEP_NS, view="ok", counts={"horse": 0})) is None


def test_stall_that_changes_all_the_time_makes_a_state_every_two_seconds() -> None:
    walks = (StallState(posture="standing"), StallState(posture="standing", behaviours=("walking",)))
    made = [replace(one, stall=walks[i % 2]) for i, one in enumerate(observations(*[1] * 41))]
    found = states(made)
    assert 5 < len(found) <= 20 / 2
    assert min(b.since_ns - a.since_ns for a, b in pairwise(found)) >= 2 * NS_PER_S


def test_last_change_of_a_stall_is_not_lost() -> None:
    lies = StallState(posture="sternal")
    made = [replace(one, stall=StallState() if i < 5 else lies) for i, one in enumerate(observations(*[1] * 12))]
    assert states(made)[-1].stall == lies


def test_stall_that_changes_does_not_delay_a_lost_view() -> None:
    made = [replace(one, stall=StallState(horses=i)) for i, one in enumerate(observations(*[1] * 8))]
    lost = CameraObservation(t_ns=8 * STEP_NS, view="lost")
    assert states([*made, lost])[-1].since_ns == 8 * STEP_NS


def test_state_of_a_stall_says_once_whether_a_person_is_there() -> None:
    made = [replace(one, stall=StallState(person_present=i > 99)) for i, one in enumerate(observations(*[1] * 8))]
    seen = [replace(one, counts={"horse": 1, "person": i % 2}) for i, one in enumerate(made)]
    assert [state.counts for state in states(seen)] == [{"horse": 1}]
