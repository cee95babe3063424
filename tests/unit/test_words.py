"""States and alerts in words, and how the program is called."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from edged.behaviour.words import describe_scene
from edged.commands.own_command import own_command
from edged.units import plural

STALL: dict[str, object] = {
    "posture": "sternal",
    "head_height": "level",
    "behaviours": [],
    "zone": None,
    "person_present": False,
}


@pytest.mark.parametrize(
    ("stall", "alerts", "words"),
    [
        (STALL, (), "horse: on its chest, head level"),
        (STALL | {"behaviours": ["paw", "box-walking"], "zone": "hay"}, (),
         "horse: on its chest, head level, pawing, box walking, at the hay"),
        (STALL | {"posture": "unknown", "head_height": "unknown"}, (), ""),
        (STALL | {"person_present": True, "foal_posture": "lateral"}, ("colic-suspected",),
         "horse: on its chest, head level, its foal on its side; a person is there; ALERT colic-suspected"),
        ({}, ("camera-lost",), "ALERT camera-lost"),
    ],
    ids=["posture", "behaviours", "unknown", "all", "alert only"],
)  # fmt: skip
def test_stall_is_described_in_words(stall: dict[str, object], alerts: tuple[str, ...], words: str) -> None:
    assert describe_scene({"stall": stall, "alerts": [{"event_type": kind} for kind in alerts]}) == words


def test_camera_without_a_stall_has_nothing_to_say() -> None:
    assert describe_scene({"stall": None}) == describe_scene(None) == describe_scene({}) == ""


def test_printed_command_is_the_one_that_was_typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "with blank" / "edged"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert own_command() == f"'{program}'"
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}/bin")
    assert own_command() == "edged"
    monkeypatch.setattr(sys, "argv", ["/somewhere/edged/__main__.py"])
    assert own_command() == f"{sys.executable} -m edged"


@pytest.mark.parametrize(("number", "text"), [(0, "0 frames"), (1, "1 frame"), (2, "2 frames")])
def test_noun_follows_its_number(number: int, text: str) -> None:
    assert plural(number, "frame") == text
