"""A simulated horse with known movements: its posture and behaviours are found, and no others."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba", reason="numba is not installed: pip install 'edged[synth]'")

from edged.behaviour.horse import horse_memory, keypoints
from edged.behaviour.horse.day_log import DayLog
from edged.behaviour.horse.ground_plane import GroundPlane
from edged.behaviour.horse.horse import HorseState
from edged.behaviour.horse.horse_memory import StallMemory
from edged.behaviour.horse.keypoints import KeypointObservation
from edged.behaviour.horse.stall_monitor import StallMonitor
from edged.config.tables.stall import StallConfig
from edged.runtime import boot
from engines.card.schema import SCHEMAS
from tools.barn.life import FALLS, Act, DayBuilder, on_circle
from tools.barn.tracks import View, observations
from tools.barn.trial import FLOOR, FLOOR_M

NIGHT = datetime(2027, 1, 1, 2, 0).astimezone()
SIDE_ON = 0.0  # heading, rad
QUIET = View(dropped=0.0, hidden=0.0, noise=0.005)


def acts(*kinds: tuple[str, float], heading: float = SIDE_ON, begin_s: float = 0.0) -> list[Act]:
    made = []
    for kind, seconds in kinds:
        made.append(Act(kind, begin_s, seconds, on_circle(heading), heading))
        begin_s += seconds
    return made


def observed(
    seen: Iterable[KeypointObservation], ground: GroundPlane | None = None
) -> tuple[HorseState, dict[str, float]]:
    horse, counts, next_s = HorseState(ground), defaultdict[str, float](float), 0.0
    for observation in seen:
        horse.update(observation)
        if observation.t_s >= next_s:
            next_s = observation.t_s + 1
            for name, amount in horse.tick(observation.t_s).items():
                counts[name] += amount
    return horse, counts


def seen(doing: Sequence[Act], view: View = QUIET) -> list[KeypointObservation]:
    return list(observations(list(doing), view, np.random.default_rng(0)))


def on_the_ground(scale: float = 1.0) -> GroundPlane:
    """The floor, and with it the horse, smaller by `scale`."""
    corners = QUIET.project(np.array([(x, y, 0.0) for x, y in FLOOR]))
    width_m, depth_m = (scale * side for side in FLOOR_M)
    return GroundPlane([(float(x), float(y)) for x, y in corners], (width_m, depth_m), QUIET.size_wh)


KNOWN = acts(("standing", 60))  # broadside: how long the horse is, is learned
HEADINGS = [round(-math.pi + n * math.pi / 6, 2) for n in range(12)]


@pytest.mark.parametrize("heading", HEADINGS)
@pytest.mark.parametrize("kind", ["standing", "feeding", "dozing"])
def test_standing_horse_at_any_heading_never_lies(kind: str, heading: float) -> None:
    _, counts = observed(seen([*KNOWN, *acts((kind, 60), heading=heading, begin_s=60)], View()))
    assert counts["lateral-s"] + counts["sternal-s"] == 0
    assert counts["standing-s"] > 45 + 45


@pytest.mark.parametrize("heading", HEADINGS)
def test_horse_that_lay_down_at_any_heading_does_not_stand(heading: float) -> None:
    lain = acts(("standing", 60), ("lying-down", 7), ("sternal", 120), heading=heading, begin_s=60)
    _, counts = observed(seen([*KNOWN, *lain], View()))
    assert counts["sternal-s"] + counts["lateral-s"] > 100
    assert counts["standing-s"] < 80 + 60
    assert counts["lie-down"] in (1, 2)  # seen from its end, it may seem to rise once on the way down


def test_horse_lies_on_in_images_of_another_size() -> None:
    lain = acts(("lying-down", 7), ("sternal", 120), begin_s=60)
    horse, _ = observed(seen([*KNOWN, *lain]))
    resized = horse.resized(None)
    counts = defaultdict[str, float](float)
    for observation in seen(acts(("sternal", 60), begin_s=187)):
        resized.update(observation)
        for name, amount in resized.tick(observation.t_s).items():
            counts[name] += amount
    assert horse.lying_since_s == resized.lying_since_s is not None
    assert (resized.posture, counts["lie-down"]) == ("sternal", 0)


def watch(stall: StallMonitor, doing: Sequence[Act]) -> None:
    next_s = 0.0
    for observation in seen(doing):
        stall.update_horse(observation)
        if observation.t_s >= next_s:
            next_s = observation.t_s + 1
            stall.tick(observation.t_s, NIGHT)


def stall_monitor(
    days: DayLog, saved: StallMemory | None = None, size_wh: tuple[int, int] = QUIET.size_wh
) -> StallMonitor:
    stall = StallMonitor(StallConfig(enabled=True), 0.3, days, saved=saved)
    stall.set_image_size(size_wh)
    return stall


def test_horse_lies_on_and_keeps_its_size_over_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = stall_monitor(days := DayLog([]))
    watch(first, [*KNOWN, *acts(("lying-down", 7), ("sternal", 60), begin_s=60)])
    assert first.memory is not None
    text = json.dumps(horse_memory.document({"a": first.memory}))
    saved = horse_memory.parse(json.loads(text))["a"]
    assert saved["horse"]["lengths"]
    again = stall_monitor(days, saved)
    watch(again, acts(("sternal", 20), begin_s=140))
    assert again.memory is not None
    assert again.memory["horse"]["lying_since_s"] == first.memory["horse"]["lying_since_s"] is not None
    assert again.memory["horse"]["lengths"] == first.memory["horse"]["lengths"]
    assert (again.state.posture, days.days[-1].bouts) == ("sternal", 0)
    watch(stall_monitor(days, again.memory), acts(("standing", 30), begin_s=165))
    assert days.days[-1].bouts == 1, "it rose while nobody looked"
    other = stall_monitor(days, saved, (99, 99)).memory
    assert other is not None
    assert (other["horse"]["lengths"], other["horse"]["was_upright"]) == ([], False)
    monkeypatch.setattr(boot, "BOOT_ID", tmp_path)
    for kept in (json.loads(text), horse_memory.document({"a": first.memory})):  # of another boot, and of any
        rebooted = horse_memory.parse(kept)["a"]["horse"]
        assert (rebooted["lying_since_s"], rebooted["lengths"]) == (None, saved["horse"]["lengths"])


def test_horse_end_on_before_its_length_is_known_is_unknown() -> None:
    horse, _ = observed(seen(acts(("standing", 30), heading=-2.09)))
    assert horse.posture == "unknown"


@pytest.mark.parametrize("heading", [-2.09, -1.57])  # its legs seem to point down
def test_horse_first_seen_on_its_chest_does_not_stand(heading: float) -> None:
    horse, counts = observed(seen(acts(("sternal", 120), heading=heading), View()), on_the_ground())
    assert (counts["standing-s"], horse.body_size.size.is_known) == (0, False)


def test_nothing_is_learned_from_a_lying_horse_that_is_misread_now_and_then() -> None:
    horse, counts = observed(seen(acts(("lateral", 600), heading=-0.52), View()), on_the_ground())
    assert (counts["standing-s"], horse.body_size.size.is_known) == (0, False)


def test_wrong_size_is_not_confirmed_by_a_horse_on_its_chest() -> None:
    horse = HorseState(on_the_ground())
    horse.body_size.size = replace(horse.body_size.size, length_m=0.94, standing_height_m=0.54)
    for observation in seen(acts(("sternal", 60), heading=-2.09)):
        horse.update(observation)
    assert horse.body_size.size.length_m == 0.94


def test_pony_is_measured_once_it_has_walked_and_stands_at_once_after_a_restart() -> None:
    walked = acts(("standing", 60), ("walking", 20), ("standing", 60))
    horse, counts = observed(seen(walked, View()), on_the_ground(0.75))
    assert 60 < counts["standing-s"] < 90
    assert horse.body_size.size.is_known
    again = HorseState(on_the_ground(0.75))
    again.body_size.restore(*horse.body_size.samples)
    for observation in seen(acts(("standing", 10)), View()):
        again.update(observation)
    assert again.posture == "standing"


def test_horse_first_seen_standing_is_measured_within_a_minute() -> None:
    horse, counts = observed(seen(acts(("standing", 60)), View()), on_the_ground())
    assert counts["standing-s"] > 50
    assert horse.body_size.size.is_known


def test_horse_with_hidden_legs_is_unknown() -> None:
    hidden = [
        replace(one, xy=np.where(np.isin(np.arange(17), keypoints.HOOVES)[:, None], np.nan, one.xy))
        for one in seen(acts(("sternal", 60)))
    ]
    horse, counts = observed(hidden)
    assert (horse.posture, counts["standing-s"]) == ("unknown", 0)


def test_keypoint_indices_are_those_of_the_schema() -> None:
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
def test_behaviours_at_any_resolution_and_frame_rate_are_found(scale: float, busy_hz: float) -> None:
    doing = acts(("standing", 20), ("pawing", 6), ("standing", 25), ("flank-look", 5), ("standing", 20))
    near = [
        KeypointObservation(one.t_s, one.xy * scale, tuple(scale * side for side in one.box))  # type: ignore[arg-type]  # four
        for one in seen(doing, replace(QUIET, busy_hz=busy_hz))
    ]
    _, counts = observed(near)
    assert (counts["paw"], counts["flank-look"]) == (1, 1)


@pytest.mark.parametrize("heading", [0.0, math.pi])
def test_flank_look_to_either_side_is_found(heading: float) -> None:
    _, counts = observed(seen(acts(("standing", 20), ("flank-look", 5), ("standing", 20), heading=heading)))
    assert counts["flank-look"] == 1


@pytest.mark.parametrize("kind", ["standing", "feeding", "walking"])
def test_quiet_horse_has_no_bouts(kind: str) -> None:
    _, counts = observed(seen(acts((kind, 120)), View(idle_hz=10)))
    assert {name: counts[name] for name in ("paw", "flank-look", "roll", "thrash", "collapse")} == dict.fromkeys(
        ("paw", "flank-look", "roll", "thrash", "collapse"), 0
    )


@pytest.mark.parametrize("heading", HEADINGS[::3])
@pytest.mark.parametrize(("falls", "rises"), FALLS)
def test_horse_that_sinks_and_comes_up_again_has_collapsed(falls: str, rises: str, heading: float) -> None:
    asleep = acts(("dozing", 60), (falls, 0.7), (rises, 2.0), ("dozing", 20), heading=heading, begin_s=60)
    _, counts = observed(seen([*KNOWN, *asleep]))
    assert counts["collapse"] == 1


def test_horse_that_lies_down_has_not_collapsed() -> None:
    _, counts = observed(seen([*KNOWN, *acts(("lying-down", 7), ("sternal", 60), ("rising", 5), begin_s=60)]))
    assert counts["collapse"] == 0


def test_horse_that_walks_a_round_and_stops_has_not_collapsed() -> None:
    life = DayBuilder(np.random.default_rng(503), position=on_circle(SIDE_ON))  # a round takes it 4.9 s
    life.do("standing", 60)
    for _ in range(40):
        life.walk(life.between(8, 25))
        life.do("dozing", life.between(15, 40))
    _, counts = observed(seen(life.acts, View(dropped=0.2)), on_the_ground())
    assert counts["collapse"] == 0


@pytest.mark.parametrize("heading", HEADINGS[:8])  # towards the camera its low head seems beside the trunk
def test_pawing_horse_does_not_look_back(heading: float) -> None:
    paws = acts(*[("standing", 20), ("pawing", 6)] * 5, ("standing", 30), heading=heading, begin_s=60)
    _, counts = observed(seen([*KNOWN, *paws], View()), on_the_ground())
    assert (counts["paw"], counts["flank-look"]) == (5, 0)


@pytest.mark.parametrize("ground", [None, on_the_ground()], ids=["in the picture", "on the ground"])
def test_horse_that_walks_round_and_round_is_box_walking(ground: GroundPlane | None) -> None:
    _, counts = observed(seen([*KNOWN, *acts(("walking", 240), ("standing", 20), begin_s=60)]), ground)
    assert 120 < counts["box-walking-s"] < 240


def test_pawing_at_a_low_frame_rate_is_not_counted() -> None:
    _, counts = observed(seen(acts(("standing", 10), ("pawing", 8), ("standing", 30)), replace(QUIET, busy_hz=2.0)))
    assert counts["paw"] == 0


def test_horse_that_is_not_visible_adds_nothing() -> None:
    horse, counts = observed(seen(acts(("standing", 30))))
    for second in range(40, 100):
        assert not horse.tick(float(second))
    assert (horse.posture, horse.head_height, counts["standing-s"] <= 30) == ("unknown", "unknown", True)


@pytest.mark.parametrize(
    "kinds",
    [
        (("lying-down", 7), ("sternal", 20), ("rising", 5), ("walking", 20), ("lying-down", 7), ("sternal", 10)),
        (("lying-down", 7), ("rolling", 10), ("rising", 5), ("walking", 20)),
    ],
    ids=["rises and walks", "rolls"],
)
def test_posture_and_behaviours_never_contradict_each_other(kinds: tuple[tuple[str, float], ...]) -> None:
    horse, shown, next_s = HorseState(), set[tuple[str, str]](), 0.0
    for observation in seen([*KNOWN, *acts(*kinds, begin_s=60)]):
        horse.update(observation)
        if observation.t_s >= next_s:
            next_s = observation.t_s + 0.5
            horse.tick(observation.t_s)
            shown |= {(horse.posture, name) for name in horse.behaviours}
    while_lying = {name for posture, name in shown if posture in ("sternal", "lateral")}
    while_standing = {name for posture, name in shown if posture == "standing"}
    assert not while_lying & {"walking", "box-walking", "paw", "weave", "flank-look"}
    assert not while_standing & {"roll", "thrash"}
    assert ("standing", "walking") in shown
    assert bool({("lateral", "roll"), ("sternal", "roll")} & shown) == (("rolling", 10) in kinds)


def test_horse_seen_on_its_back_lies_before_the_vote_has_changed() -> None:
    horse = HorseState()
    horse.behaviours = frozenset({"roll"})
    assert horse.posture == "lateral"
