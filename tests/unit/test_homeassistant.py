"""What Home Assistant is told, without a Home Assistant; `make homeassistant` asks the real one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edged.config.tree import Config
from edged.device import info
from edged.messages import build
from edged.messages.build import HeaderFactory
from edged.messages.bus import Request
from edged.mqtt.homeassistant import DiscoveryPublisher
from edged.mqtt.homeassistant_entities import DiscoveryDevice
from edged.mqtt.memory_bus import MemoryBus
from tests.unit.test_message_build import FixedOffsetClock

HORSE = ("horse",)


def discovery_device(**changes: Any) -> DiscoveryDevice:
    plain: dict[str, Any] = {"id": "box", "base": "site", "name": "", "version": "1", "health_s": 30.0}
    return DiscoveryDevice(**{**plain, "cameras": {"stall": HORSE}, **changes})


def payload(device: str, **changes: Any) -> dict[str, Any]:
    return next(
        body
        for topic, body in discovery_device(**changes).payloads().items()
        if topic.path.endswith(f"/{device}/config")
    )


def test_a_camera_is_a_device_behind_the_box() -> None:
    assert payload("box_stall")["device"]["via_device"] == payload("box")["device"]["identifiers"][0]


def test_every_entity_of_every_device_has_an_id_of_its_own() -> None:
    bodies = discovery_device(cameras={"stall": HORSE, "yard": HORSE}).payloads().values()
    ids = [component["unique_id"] for body in bodies for component in body["components"].values()]
    assert len(ids) == len(set(ids)) > 20


def test_a_cameras_entities_need_the_box_and_the_camera() -> None:
    view = payload("box_stall")["components"]["box_stall_view"]
    assert [one["topic"] for one in view["availability"]] == ["site/box/status", "site/box/cam/stall/status"]
    assert view["availability_mode"] == "all"


def test_what_says_that_the_box_is_gone_is_never_unavailable() -> None:
    assert "availability" not in payload("box")["components"]["box_connected"]


def test_figures_expire_when_health_stops_coming() -> None:
    assert payload("box", health_s=10.0)["components"]["box_cpu"]["expire_after"] == 35


def test_a_class_is_filled_in_and_jinja_keeps_its_braces() -> None:
    template = payload("box_stall")["components"]["box_stall_horse_present"]["value_template"]
    assert template == "{{ 'ON' if (value_json.counts or {}).get('horse') else 'OFF' }}"


def test_buttons_exist_for_allowed_commands_only() -> None:
    allowed = payload("box_stall", allowed_commands=frozenset({"restart-camera"}))["components"]
    assert [key for key in allowed if key.endswith("_button")] == ["box_stall_restart-camera_button"]
    assert not [key for key in payload("box_stall")["components"] if key.endswith("_button")]


def test_a_picture_is_announced_only_where_one_may_be_taken() -> None:
    assert "box_stall_snapshot" not in payload("box_stall")["components"]
    may = payload("box_stall", snapshot_cameras=frozenset({"stall"}), allowed_commands=frozenset({"snapshot"}))[
        "components"
    ]
    assert {"box_stall_snapshot", "box_stall_snapshot_button"} <= may.keys()
    assert "box_stall_snapshot" not in payload("box_stall", snapshot_cameras=frozenset({"stall"}))["components"]


def test_a_stall_that_is_watched_over_has_entities_of_its_own() -> None:
    own = {f"box_stall_{key}" for key in ("posture", "person_in_stall", "lying", "at_feeder", "observed")}
    assert own <= payload("box_stall", stall_cameras=frozenset({"stall"}))["components"].keys()
    assert not own & payload("box_stall")["components"].keys()


def test_every_kind_of_alert_is_known_there() -> None:
    settings = Config.model_validate({"cameras": {"stall": {"source": "0", "stall": {"enabled": True}}}})
    known = info.discovery_device(settings, "box", {"stall": HORSE})
    assert {"camera-lost", "camera-moved", "colic-suspected", "foaling-suspected"} <= set(known.alert_kinds)
    assert known.stall_cameras == {"stall"}


@pytest.fixture
def bus() -> MemoryBus:
    stamps = HeaderFactory(FixedOffsetClock())
    return MemoryBus(lambda state: build.device_status(stamps, state))


def announce(bus: MemoryBus, folder: Path, *, enabled: bool = True, **changes: Any) -> DiscoveryPublisher:
    announcer = DiscoveryPublisher(bus, discovery_device(**changes), folder / "announced.json", enabled=enabled)
    announcer.start()
    return announcer


STALL, YARD = (f"/homeassistant/device/box/box_{name}/config" for name in ("stall", "yard"))


def test_a_camera_taken_out_is_removed_and_the_others_stay(bus: MemoryBus, tmp_path: Path) -> None:
    announce(bus, tmp_path, cameras={"stall": HORSE, "yard": HORSE})
    announce(bus, tmp_path, cameras={"stall": HORSE})
    assert bus.retained[YARD] == b""
    assert bus.retained[STALL]["components"]


def test_switched_off_everything_is_removed_once(bus: MemoryBus, tmp_path: Path) -> None:
    announce(bus, tmp_path)
    for _ in range(2):
        announce(bus, tmp_path, enabled=False)
    assert [body for body in bus.messages_on(STALL) if body == b""] == [b""]


def test_a_house_that_never_heard_of_us_is_told_nothing(bus: MemoryBus, tmp_path: Path) -> None:
    announce(bus, tmp_path, enabled=False)
    assert not [path for path, _ in bus.messages if "homeassistant" in path]


def test_a_home_assistant_that_has_started_is_told_again(
    bus: MemoryBus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edged.mqtt.homeassistant.BIRTH_DELAY_S", (0.0, 0.0))
    announcer = announce(bus, tmp_path)
    for payload in (b"offline", b"online"):
        bus.receive(Request(path="/homeassistant/status", payload=payload, retain=False))
    assert announcer.delayed is not None
    announcer.delayed.join(5)
    assert len(bus.messages_on(STALL)) == 2


def test_a_torn_memory_is_said_and_does_no_harm(
    bus: MemoryBus, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "announced.json").write_text("{")
    announce(bus, tmp_path)
    assert "announcements to Home Assistant begin again" in caplog.text
    assert json.loads((tmp_path / "announced.json").read_text())
