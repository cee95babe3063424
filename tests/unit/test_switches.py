"""What commands switch, for how long, and what a profile changes."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from edged.config.profiles import in_effect
from edged.config.tree import Config
from edged.control.switches import CameraSwitches
from edged.errors import CommandRejected
from edged.messages.commands import Profile, Switch
from edged.units import MS_PER_S

CONFIG = Config.model_validate(
    {
        "cameras": {
            "stall": {"source": "0", "images": True, "thresholds": {"horse": 0.5}},
            "yard": {"source": "1"},
            "spare": {"source": "2", "enabled": False},
        },
        "profiles": {
            "night": {"start": "21:00", "end": "05:00", "cameras": {"stall": {"alerts": False, "mode": "single"}}},
            "guests": {"cameras": {"stall": {"enabled": False}, "spare": {"enabled": True}}},
        },
    }
)


class Desk:
    """Switches at a time of day, and how often they were applied."""

    def __init__(self, folder: Path, time: str = "12:00") -> None:
        self.now = datetime.fromisoformat(f"2026-11-30T{time}").astimezone()
        self.applied = 0
        self.fault: Exception | None = None
        self.switches = CameraSwitches(folder / "switches.json", lambda: round(self.now.timestamp() * MS_PER_S))
        self.switches.connect(lambda: CONFIG, self.apply)

    def apply(self) -> None:
        if self.fault is not None:
            raise self.fault
        self.applied += 1

    def at(self, time: str, day: int = 30) -> Desk:
        self.now = datetime.fromisoformat(f"2026-11-{day}T{time}").astimezone()
        self.switches._step()
        return self

    def camera(self, name: str = "stall") -> Any:
        return self.switches.in_effect(CONFIG).cameras[name]

    def switch(self, what: Any, *, on: bool, minutes: float | None = None, camera: str = "stall") -> None:
        self.switches.switch(Switch(camera=camera, what=what, on=on, minutes=minutes))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_nothing_switched_leaves_the_configuration_as_it_is(desk: Desk) -> None:
    assert desk.switches.in_effect(CONFIG) == CONFIG


@pytest.mark.parametrize(("what", "key"), [("camera", "enabled"), ("alerts", "alerts"), ("images", "images")])
def test_switch_changes_its_key_and_nothing_else(desk: Desk, what: str, key: str) -> None:
    desk.switch(what, on=False)
    assert desk.camera() == CONFIG.cameras["stall"].model_copy(update={key: False})
    assert desk.camera("yard") == CONFIG.cameras["yard"]
    desk.switch(what, on=True)
    assert desk.switches.in_effect(CONFIG) == CONFIG


def test_switch_for_an_hour_goes_back_by_itself(desk: Desk) -> None:
    desk.switch("alerts", on=False, minutes=60)
    assert not desk.at("12:59").camera().alerts
    applied = desk.applied
    assert desk.at("13:00").camera().alerts
    assert desk.applied == applied + 1


def test_switch_lasts_over_a_restart(desk: Desk, tmp_path: Path) -> None:
    desk.switch("images", on=False, minutes=90)
    assert not Desk(tmp_path, "13:29").camera().images
    assert Desk(tmp_path, "13:30").camera().images


@pytest.mark.parametrize(
    ("camera", "what", "named"), [("yard", "images", "images = false"), ("spare", "camera", "'spare'")]
)
def test_what_the_configuration_forbids_cannot_be_switched_on(desk: Desk, camera: str, what: Any, named: str) -> None:
    with pytest.raises(CommandRejected) as rejected:
        desk.switch(what, on=True, camera=camera)
    assert named in rejected.value.got


def test_switch_that_cannot_be_applied_has_changed_nothing(desk: Desk, tmp_path: Path) -> None:
    desk.fault = CommandRejected("daemon", got="no time", wanted="some", do="send it again")
    with pytest.raises(CommandRejected):
        desk.switch("camera", on=False)
    assert desk.camera().enabled
    assert Desk(tmp_path).camera().enabled


def test_profile_applies_by_its_timetable_over_midnight(desk: Desk) -> None:
    assert desk.at("20:59").camera().alerts
    night = desk.at("21:00").camera()
    assert (night.alerts, night.mode, night.thresholds) == (False, "single", {"horse": 0.5})
    assert not desk.at("04:59").camera().alerts
    assert desk.at("05:00").camera().alerts


def test_switch_over_a_profile_ends_with_it(desk: Desk) -> None:
    desk.at("22:00").switch("alerts", on=True)
    assert desk.at("23:00").camera().alerts
    assert desk.at("06:00").camera().alerts
    assert not desk.at("21:30").camera().alerts


def test_selected_profile_applies_until_auto_or_its_time(desk: Desk) -> None:
    desk.switches.select_profile(Profile(name="guests"))
    assert not desk.camera().enabled
    desk.switches.select_profile(Profile(name="auto"))
    assert desk.camera().enabled
    desk.switches.select_profile(Profile(name="guests", minutes=30))
    assert not desk.at("12:29").camera().enabled
    assert desk.at("12:30").camera().enabled


def test_profile_none_holds_against_the_timetable(desk: Desk) -> None:
    desk.at("22:00").switches.select_profile(Profile(name="none"))
    assert desk.camera().alerts


def test_unknown_profile_is_refused_with_the_known_ones(desk: Desk) -> None:
    with pytest.raises(CommandRejected, match="auto, none, night, guests"):
        desk.switches.select_profile(Profile(name="day"))


def test_profile_opens_no_camera_that_the_files_disable() -> None:
    assert not in_effect(CONFIG, "guests", {}).cameras["spare"].enabled


def test_message_has_what_is_on_until_when_and_the_choices(desk: Desk) -> None:
    desk.at("22:00").switch("images", on=False, minutes=60)
    body = desk.switches.body(CONFIG)
    assert body["profile"] == {
        "selected": "auto",
        "active": "night",
        "until_ts": None,
        "choices": ["auto", "none", "night", "guests"],
    }
    until_ms = round(desk.now.timestamp() * MS_PER_S) + 3_600_000
    assert body["cameras"]["stall"] == {
        "camera": {"on": True, "until_ts": None},
        "alerts": {"on": False, "until_ts": None},
        "images": {"on": False, "until_ts": until_ms},
    }
    assert body["cameras"].keys() == {"stall", "yard"}


def test_damaged_state_begins_again(tmp_path: Path) -> None:
    off = {
        "profile": "auto",
        "profile_until_ms": None,
        "active": None,
        "switched": {"stall": {"alerts": {"on": False}}},
    }
    (tmp_path / "switches.json").write_text(json.dumps(off))  # without `until_ms`
    assert Desk(tmp_path).camera().alerts


def test_camera_that_was_removed_since_is_forgotten(desk: Desk) -> None:
    desk.switch("alerts", on=False, camera="yard")
    rest = CONFIG.model_copy(update={"cameras": {"stall": CONFIG.cameras["stall"]}, "profiles": {}})
    assert desk.switches.in_effect(rest) == rest
