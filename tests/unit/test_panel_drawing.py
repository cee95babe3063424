"""Drawings of cameras, on a site's files in a folder."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

pytest.importorskip("starlette", reason="needs starlette; install edged[panel]")

from edged.config.drawing import parse_drawing
from edged.config.load import load
from edged.daemon import Daemon
from edged.errors import CommandRejected, ConfigError
from edged.panel.drawing import Drawings

FLOOR = [[24, 311], [618, 355], [532, 169], [188, 152]]
BOW = [[0, 0], [90, 90], [90, 0], [0, 90]]
ZONE = [[300, 200], [340, 200], [340, 240]]
SITE = '[device]\nstate_dir = "{0}"\n[cameras.a]\nsource = "0"\n[cameras.b]\nsource = "1"\n'


class Box:
    """What `Drawings` needs of a daemon."""

    def __init__(self, etc: Path) -> None:
        self.etc = etc
        (etc / "edged.toml").write_text(SITE.format(etc))
        self.config = load(etc, env={})
        state = SimpleNamespace(size_wh=(640, 360))
        hub = SimpleNamespace(states={"a": state, "b": state})
        self.parts = SimpleNamespace(hub=hub, options=SimpleNamespace(etc=etc))
        self.rejection: CommandRejected | None = None

    def reload_now(self) -> dict[str, Any]:
        if self.rejection is not None:
            raise self.rejection
        self.config = load(self.etc, env={})
        return {"changed": ["x"]}

    @property
    def text(self) -> str:
        path = self.etc / "conf.d/60-panel.toml"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


@pytest.fixture
def drawings(box: Box) -> Drawings:
    return Drawings(cast(Daemon, box))


def test_checked_drawing_changes_nothing_and_says_what_was_understood(box: Box, drawings: Drawings) -> None:
    found = drawings.change("a", parse_drawing({"stall": True, "floor": FLOOR, "floor_m": [4.0, 3.5]}), save=False)
    assert found["problems"] == []
    assert found["measures"]["sides_m"][:2] == [pytest.approx(4.0, abs=0.01), pytest.approx(3.5, abs=0.01)]
    assert found["measures"]["camera_height_m"] >= 2
    assert box.text == ""


def test_saved_drawing_is_in_effect_and_others_stay(box: Box, drawings: Drawings) -> None:
    drawings.change("b", parse_drawing({"masks": [FLOOR]}), save=True)
    whole = {"stall": True, "floor": FLOOR, "open_sides": [0], "zones": {"hay": ZONE}, "roi": [0, 0, 600, 360]}
    assert drawings.change("a", parse_drawing(whole), save=True)["saved"]
    camera = box.config.cameras["a"]
    assert camera.stall.floor == tuple(map(tuple, FLOOR))
    assert (camera.stall.open_sides, camera.roi) == ((0,), (0, 0, 600, 360))
    assert box.config.cameras["b"].masks == (tuple(map(tuple, FLOOR)),)


def test_beds_are_saved_with_their_floor_and_taken_away(box: Box, drawings: Drawings) -> None:
    whole = {"floor": FLOOR, "floor_m": [4.0, 3.5], "down": True, "beds": [ZONE]}
    assert drawings.change("a", parse_drawing(whole), save=True)["problems"] == []
    assert box.config.cameras["a"].person_down.beds == (tuple(map(tuple, ZONE)),)
    assert drawings.show("a")["drawing"]["down"]
    assert drawings.change("a", parse_drawing({}), save=True)["problems"] == []
    assert (box.config.cameras["a"].person_down.beds, box.config.cameras["a"].person_down.enabled) == ((), False)


def test_undo_goes_back_and_forth(box: Box, drawings: Drawings) -> None:
    drawings.change("a", parse_drawing({"masks": [FLOOR]}), save=True)
    drawings.change("a", parse_drawing({"masks": [FLOOR, ZONE]}), save=True)
    drawings.undo()
    assert len(box.config.cameras["a"].masks) == 1
    drawings.undo()
    assert len(box.config.cameras["a"].masks) == 2


def test_cleared_drawing_takes_everything_away(box: Box, drawings: Drawings) -> None:
    drawings.change(
        "a", parse_drawing({"stall": True, "floor": FLOOR, "masks": [ZONE], "roi": [0, 0, 99, 99]}), save=True
    )
    assert drawings.change("a", parse_drawing({}), save=True)["problems"] == []
    camera = box.config.cameras["a"]
    assert (camera.masks, camera.stall.enabled, camera.stall.floor) == ((), False, None)
    assert camera.roi == (0, 0, 640, 360)


@pytest.mark.parametrize(
    ("drawing", "problem"),
    [
        ({"stall": True, "floor": [FLOOR[0], FLOOR[2], FLOOR[1], FLOOR[3]]}, "crosses itself"),
        (
            {"masks": [ZONE, BOW]},
            "crosses itself: side 0 from (0, 0) to (90, 90) and side 2 from (90, 0) to (0, 90)",
        ),
        ({"zones": {"hay": BOW}}, "a.stall.zones.hay"),
        ({"beds": [BOW]}, "a.person_down.beds[0]"),
        ({"beds": [[[0, 0], [5, 5], [9, 9]]]}, "lie on one line"),
        ({"down": True}, "down needs a floor of known size"),
        ({"masks": [[[0, 0], [700, 0], [0, 90]]]}, "inside the upright image"),
        ({"stall": True, "floor": FLOOR, "floor_m": [4.0, 0.1]}, "floor_m"),
        ({"stall": True, "floor": FLOOR, "open_sides": [7]}, "side 7"),
    ],
)
def test_wrong_drawing_is_named_and_not_saved(
    box: Box, drawings: Drawings, drawing: dict[str, Any], problem: str
) -> None:
    found = drawings.change("a", parse_drawing(drawing), save=True)
    assert problem in " ".join(found["problems"])
    assert not found["saved"]
    assert box.text == ""


@pytest.mark.parametrize("name", ["50-box.toml", "90-local.toml"])
def test_key_that_another_file_gives_is_named_with_its_line(box: Box, drawings: Drawings, name: str) -> None:
    (box.etc / "conf.d").mkdir()
    (box.etc / "conf.d" / name).write_text(f"[cameras.a.stall]\nenabled = true\nfloor = {FLOOR}\n")
    box.reload_now()
    other = None if name == "50-box.toml" else [*ZONE, [300, 240]]
    found = drawings.change("a", parse_drawing({"stall": True, "floor": other}), save=True)
    assert f"conf.d/{name}:3" in " ".join(found["problems"])
    assert not found["saved"]


def test_rejected_reload_brings_the_file_before_back(box: Box, drawings: Drawings) -> None:
    drawings.change("a", parse_drawing({"masks": [FLOOR]}), save=True)
    before = box.text
    box.rejection = CommandRejected("daemon", got="no time", wanted="some", do="again")
    with pytest.raises(CommandRejected):
        drawings.change("a", parse_drawing({"masks": [ZONE]}), save=True)
    assert box.text == before


def test_link_is_written_through_and_stays_a_link(box: Box, drawings: Drawings) -> None:
    (box.etc / "conf.d").mkdir()
    (box.etc / "conf.d/60-panel.toml").symlink_to(box.etc / "state.toml")
    drawings.change("a", parse_drawing({"masks": [FLOOR]}), save=True)
    assert (box.etc / "conf.d/60-panel.toml").is_symlink()
    assert "masks" in (box.etc / "state.toml").read_text()
    assert box.config.cameras["a"].masks != ()


def test_daemon_with_one_file_has_no_place_for_drawings(box: Box) -> None:
    box.parts.options.etc = None
    with pytest.raises(ConfigError) as caught:
        Drawings(cast(Daemon, box)).change("a", parse_drawing({}), save=True)
    assert caught.value.code == "one-file"


@pytest.mark.parametrize(
    "body",
    [
        {"masks": [[[0, 0], [1, 1]]]},
        {"floor": "all"},
        {"floor": [[float("nan"), 0], [1, 1], [2, 0]]},
        {"floor": [[1e9, 0], [1, 1], [2, 0]]},
        {"source": "rtsp://evil"},
        {"zones": {"../x": ZONE}},
        {"masks": [ZONE] * 17},
        {"masks": [ZONE * 30]},
    ],
)
def test_body_that_is_no_drawing_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        parse_drawing(body)


def test_file_that_may_not_be_written_says_what_to_do(box: Box, drawings: Drawings) -> None:
    (box.etc / "conf.d").write_text("no folder")
    with pytest.raises(Exception, match=r"conf\.d"):
        drawings.change("a", parse_drawing({"masks": [FLOOR]}), save=True)
    assert os.path.isfile(box.etc / "conf.d")
