"""A horse whose every movement is known, watched: posture, behaviours, and the mistakes that others made."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("numba", reason="numba is not installed: pip install 'edged[synth]'")

from edged.behaviour.horse import keypoints
from edged.behaviour.horse.ground_plane import GroundPlane
from edged.behaviour.horse.horse import HorseState
from edged.behaviour.horse.keypoints import KeypointObservation
from engines.card.schema import SCHEMAS
from tools.barn.life import FALLS, Act, DayBuilder, on_circle
from tools.barn.tracks import View, observations
from tools.barn.trial import FLOOR, FLOOR_M, run_day

SIDE_ON = 0.0  # heading, rad
QUIET = View(dropped=0.0, hidden=0.0, noise=0.005)


def acts(*kinds: tuple[str, float], heading: float = SIDE_ON, begin_s: float = 0.0) -> list[Act]:
    made = []
    for kind, seconds in kinds:
        made.append(Act(kind, begin_s, seconds, on_circle(heading), heading))
        begin_s += seconds
    return made


def watched(
    seen: Iterable[KeypointObservation], ground: GroundPlane | None = None
) -> tuple[HorseState, dict[str, float]]:
    horse, told, next_s = HorseState(ground), defaultdict[str, float](float), 0.0
    for sighting in seen:
        horse.update(sighting)
        if sighting.t_s >= next_s:
            next_s = sighting.t_s + 1
            for name, amount in horse.tick(sighting.t_s).items():
                told[name] += amount
    return horse, told


def seen(doing: Sequence[Act], view: View = QUIET) -> list[KeypointObservation]:
    return list(observations(list(doing), view, np.random.default_rng(0)))


def on_the_ground() -> GroundPlane:
    corners = QUIET.project(np.array([(x, y, 0.0) for x, y in FLOOR]))
    return GroundPlane([(float(x), float(y)) for x, y in corners], FLOOR_M, QUIET.size_wh)


KNOWN = acts(("standing", 60))  # broadside: how long the horse is, is learned
HEADINGS = [round(-math.pi + n * math.pi / 6, 2) for n in range(12)]


@pytest.mark.parametrize("heading", HEADINGS)
@pytest.mark.parametrize("kind", ["standing", "feeding", "dozing"])
def test_a_standing_horse_never_lies(kind: str, heading: float) -> None:
    _, told = watched(seen([*KNOWN, *acts((kind, 60), heading=heading, begin_s=60)], View()))
    assert told["lateral-s"] + told["sternal-s"] == 0
    assert told["standing-s"] > 45 + 45


@pytest.mark.parametrize("heading", HEADINGS)
def test_a_horse_that_lay_down_does_not_stand(heading: float) -> None:
    lain = acts(("standing", 60), ("lying-down", 7), ("sternal", 120), heading=heading, begin_s=60)
    _, told = watched(seen([*KNOWN, *lain], View()))
    assert told["sternal-s"] + told["lateral-s"] > 100
    assert told["standing-s"] < 80 + 60
    assert told["lie-down"] in (1, 2)  # seen from its end, it may seem to rise once on the way down


def test_who_shows_its_end_before_its_length_is_known_is_unknown() -> None:
    horse, _ = watched(seen(acts(("standing", 30), heading=-2.09)))
    assert horse.posture == "unknown"


def test_hidden_legs_are_unknown_though_the_trunk_is_level() -> None:
    hidden = [
        replace(one, xy=np.where(np.isin(np.arange(17), keypoints.HOOVES)[:, None], np.nan, one.xy))
        for one in seen(acts(("sternal", 60)))
    ]
    horse, told = watched(hidden)
    assert (horse.posture, told["standing-s"]) == ("unknown", 0)


def test_points_stand_where_the_schema_puts_them() -> None:
    names = SCHEMAS["ap10k-17"].keypoints
    assert [names[i] for i in (keypoints.NOSE, keypoints.NECK, keypoints.TAIL)] == ["nose", "neck", "root_of_tail"]
    assert [names[i] for i in keypoints.HOOVES] == [
        "left_front_paw",
        "right_front_paw",
        "left_back_paw",
        "right_back_paw",
    ]


@pytest.mark.parametrize("scale", [0.4, 1.0, 3.0])
@pytest.mark.parametrize("busy_hz", [8.0, 12.5, 30.0])
def test_neither_the_resolution_nor_the_frame_rate_matters(scale: float, busy_hz: float) -> None:
    doing = acts(("standing", 20), ("pawing", 6), ("standing", 25), ("flank-look", 5), ("standing", 20))
    near = [
        KeypointObservation(one.t_s, one.xy * scale, tuple(scale * side for side in one.box))  # type: ignore[arg-type]  # four
        for one in seen(doing, replace(QUIET, busy_hz=busy_hz))
    ]
    _, told = watched(near)
    assert (told["paw"], told["flank-look"]) == (1, 1)


@pytest.mark.parametrize("heading", [0.0, math.pi])
def test_it_looks_back_whichever_way_it_faces(heading: float) -> None:
    _, told = watched(seen(acts(("standing", 20), ("flank-look", 5), ("standing", 20), heading=heading)))
    assert told["flank-look"] == 1


@pytest.mark.parametrize("kind", ["standing", "feeding", "walking"])
def test_a_horse_that_does_not_paw_is_not_said_to(kind: str) -> None:
    _, told = watched(seen(acts((kind, 120)), View(idle_hz=10)))
    assert {name: told[name] for name in ("paw", "flank-look", "roll", "thrash", "collapse")} == dict.fromkeys(
        ("paw", "flank-look", "roll", "thrash", "collapse"), 0
    )


@pytest.mark.parametrize("heading", HEADINGS[::3])
@pytest.mark.parametrize(("falls", "rises"), FALLS)
def test_a_horse_that_sinks_to_its_knees_and_comes_up_again_has_collapsed(
    falls: str, rises: str, heading: float
) -> None:
    asleep = acts(("dozing", 60), (falls, 0.7), (rises, 2.0), ("dozing", 20), heading=heading, begin_s=60)
    _, told = watched(seen([*KNOWN, *asleep]))
    assert told["collapse"] == 1


def test_a_horse_that_lies_down_has_not_collapsed() -> None:
    _, told = watched(seen([*KNOWN, *acts(("lying-down", 7), ("sternal", 60), ("rising", 5), begin_s=60)]))
    assert told["collapse"] == 0


def test_a_horse_that_stops_where_it_was_five_seconds_ago_has_not_collapsed() -> None:
    life = DayBuilder(np.random.default_rng(503), position=on_circle(SIDE_ON))  # a round takes it 4.9 s
    life.do("standing", 60)
    for _ in range(40):
        life.walk(life.between(8, 25))
        life.do("dozing", life.between(15, 40))
    _, told = watched(seen(life.acts, View(dropped=0.2)), on_the_ground())
    assert told["collapse"] == 0


@pytest.mark.parametrize("heading", HEADINGS[:8])  # towards the camera its low head seems beside the trunk
def test_a_horse_that_paws_does_not_look_back(heading: float) -> None:
    paws = acts(*[("standing", 20), ("pawing", 6)] * 5, ("standing", 30), heading=heading, begin_s=60)
    _, told = watched(seen([*KNOWN, *paws], View()), on_the_ground())
    assert (told["paw"], told["flank-look"]) == (5, 0)


@pytest.mark.parametrize("ground", [None, on_the_ground()], ids=["in the picture", "on the ground"])
def test_a_horse_that_goes_round_and_round_walks_its_box(ground: GroundPlane | None) -> None:
    _, told = watched(seen([*KNOWN, *acts(("walking", 240), ("standing", 20), begin_s=60)]), ground)
    assert 120 < told["box-walking-s"] < 240


def test_too_slow_a_camera_cannot_tell_whether_it_paws() -> None:
    _, told = watched(seen(acts(("standing", 10), ("pawing", 8), ("standing", 30)), replace(QUIET, busy_hz=2.0)))
    assert told["paw"] == 0


def test_nothing_is_added_while_nobody_sees() -> None:
    horse, told = watched(seen(acts(("standing", 30))))
    for second in range(40, 100):
        assert not horse.tick(float(second))
    assert (horse.posture, horse.head_height, told["standing-s"] <= 30) == ("unknown", "unknown", True)


def test_a_day_with_colic_is_understood_and_its_alarm_is_soon() -> None:
    day = run_day(2, "colic", 0.2)
    told = sum(seconds for (was, said), seconds in day.postures.items() if was == said)
    assert told / sum(day.postures.values()) > 0.95
    assert abs(day.bouts[0] - day.bouts[1]) <= 1
    assert day.missed["lie-down"] + day.missed["roll"] == 0
    assert day.started_min is not None
    assert any(kind == "colic-suspected" and 0 < minute - day.started_min < 20 for kind, minute in day.found)
