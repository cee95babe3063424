"""Home Assistant discovery, without Home Assistant; `make homeassistant` runs the real one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from edged.config.tree import Config
from edged.device import info
from edged.messages import build
from edged.messages.build import HeaderFactory
from edged.messages.bus import Request
from edged.messages.documents import json_schema
from edged.mqtt.homeassistant import DiscoveryPublisher
from edged.mqtt.homeassistant_entities import (
    BIRTH,
    CAMERA_ENTITIES,
    CLASS_ENTITIES,
    CLASS_MINUTES,
    DEVICE_ENTITIES,
    STALL_ENTITIES,
    DiscoveryDevice,
    Entity,
)
from edged.mqtt.memory_bus import MemoryBus
from tests.support.clock import FixedOffsetClock

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


READS = re.compile(
    r"value_json((?:\.\w+)+)|\(value_json\.(\w+) or \{\}\)\.get\('([a-z_]+)'|\bs\.get\('(\w+)'"  # `s`: the stall's day
)


def fields_read(template: str) -> set[str]:
    """Paths of the message fields that a template reads, such as `stall.posture`."""
    found = set()
    for path, table, key, of_stall in READS.findall(template):
        found.add(path.strip(".") if path else f"{table}.{key}" if table else f"stall.{of_stall}")
    return {path.removesuffix(".get") for path in found}


def has_field(schema: dict[str, Any], path: str) -> bool:
    """Whether the schema has the field; below a mapping by name, any."""
    node = schema
    for step in path.split("."):
        options = [node, *node.get("anyOf", ())]
        tables = [schema["$defs"][one["$ref"].rsplit("/", 1)[1]] if "$ref" in one else one for one in options]
        if any("additionalProperties" in table for table in tables):
            return True
        below = [table["properties"][step] for table in tables if step in table.get("properties", {})]
        if not below:
            return False
        node = below[0]
    return True


ENTITIES = (*DEVICE_ENTITIES, *CAMERA_ENTITIES, *CLASS_ENTITIES, CLASS_MINUTES, *STALL_ENTITIES)


@pytest.mark.parametrize("entity", ENTITIES, ids=lambda entity: entity.key)
def test_template_reads_only_fields_of_its_message(entity: Entity) -> None:
    schema = json_schema(entity.spec.name)
    fields = fields_read(f"{entity.value_template} {entity.attributes_template}")
    assert fields or entity.value_template is None
    assert [path for path in fields if not has_field(schema, path)] == []


def test_camera_is_a_device_connected_through_the_box() -> None:
    assert payload("box_stall")["device"]["via_device"] == payload("box")["device"]["identifiers"][0]


def test_entity_ids_are_unique() -> None:
    bodies = discovery_device(cameras={"stall": HORSE, "yard": HORSE}).payloads().values()
    ids = [component["unique_id"] for body in bodies for component in body["components"].values()]
    assert len(ids) == len(set(ids)) > 20


def test_camera_entity_is_available_while_device_and_camera_are_online() -> None:
    view = payload("box_stall")["components"]["box_stall_view"]
    assert [one["topic"] for one in view["availability"]] == ["site/box/status", "site/box/cam/stall/status"]
    assert view["availability_mode"] == "all"


def test_connected_entity_is_always_available() -> None:
    assert "availability" not in payload("box")["components"]["box_connected"]


def test_health_entity_expires_without_health_messages() -> None:
    assert payload("box", health_s=10.0)["components"]["box_cpu"]["expire_after"] == 35


def test_template_has_the_class_name_and_jinja_braces() -> None:
    template = payload("box_stall")["components"]["box_stall_horse_present"]["value_template"]
    assert template == "{{ 'ON' if (value_json.counts or {}).get('horse') else 'OFF' }}"


def test_buttons_exist_for_allowed_commands_only() -> None:
    allowed = payload("box_stall", allowed_commands=frozenset({"restart-camera"}))["components"]
    assert [key for key in allowed if key.endswith("_button")] == ["box_stall_restart-camera_button"]
    assert not [key for key in payload("box_stall")["components"] if key.endswith("_button")]


def test_snapshot_entity_needs_images_and_an_allowed_command() -> None:
    assert "box_stall_snapshot" not in payload("box_stall")["components"]
    may = payload("box_stall", snapshot_cameras=frozenset({"stall"}), allowed_commands=frozenset({"snapshot"}))[
        "components"
    ]
    assert {"box_stall_snapshot", "box_stall_snapshot_button"} <= may.keys()
    assert "box_stall_snapshot" not in payload("box_stall", snapshot_cameras=frozenset({"stall"}))["components"]


def test_stall_has_one_entity_for_the_presence_of_a_person() -> None:
    labels = {"stall": ("horse", "person")}
    stall = payload("box_stall", cameras=labels, stall_cameras=frozenset({"stall"}))["components"]
    assert [key for key in stall if "person" in key] == ["box_stall_person_minutes", "box_stall_person_in_stall"]
    assert "box_stall_person_present" in payload("box_stall", cameras=labels)["components"]


def test_stall_camera_has_the_stall_entities() -> None:
    own = {f"box_stall_{key}" for key in ("posture", "person_in_stall", "lying", "at_feeder", "observed")}
    assert own <= payload("box_stall", stall_cameras=frozenset({"stall"}))["components"].keys()
    assert not own & payload("box_stall")["components"].keys()


def test_device_of_the_configuration_has_every_alert_kind_and_stall() -> None:
    settings = Config.model_validate({"cameras": {"stall": {"source": "0", "stall": {"enabled": True}}}})
    known = info.discovery_device(settings, "box", {"stall": HORSE})
    assert {"camera-lost", "camera-moved", "colic-suspected", "foaling-suspected"} <= set(known.alert_kinds)
    assert known.stall_cameras == {"stall"}


@pytest.fixture
def bus() -> MemoryBus:
    headers = HeaderFactory(FixedOffsetClock())
    return MemoryBus(lambda state: build.device_status(headers, state))


def announce(bus: MemoryBus, folder: Path, *, enabled: bool = True, **changes: Any) -> DiscoveryPublisher:
    device = discovery_device(**changes)
    publisher = DiscoveryPublisher(bus, device, folder / "announced.json", enabled=enabled, birth_delay_s=(0.0, 0.0))
    publisher.start()
    return publisher


def birth(payload: bytes = b"online") -> Request:
    return Request(path=BIRTH.at(prefix="homeassistant").path, payload=payload, retain=False)


STALL, YARD = (f"/homeassistant/device/box/box_{name}/config" for name in ("stall", "yard"))


def test_removed_camera_gets_an_empty_payload_and_the_others_stay(bus: MemoryBus, tmp_path: Path) -> None:
    announce(bus, tmp_path, cameras={"stall": HORSE, "yard": HORSE})
    announce(bus, tmp_path, cameras={"stall": HORSE})
    assert bus.retained[YARD] == b""
    assert bus.retained[STALL]["components"]


def test_disabled_discovery_gets_empty_payloads_once(bus: MemoryBus, tmp_path: Path) -> None:
    announce(bus, tmp_path)
    for _ in range(2):
        announce(bus, tmp_path, enabled=False)
    assert [body for body in bus.messages_on(STALL) if body == b""] == [b""]


def test_discovery_that_was_never_enabled_publishes_nothing(bus: MemoryBus, tmp_path: Path) -> None:
    announce(bus, tmp_path, enabled=False)
    assert not [path for path, _ in bus.messages if "homeassistant" in path]


def test_restart_of_home_assistant_after_a_reload_without_discovery_repeats_nothing(
    bus: MemoryBus, tmp_path: Path
) -> None:
    publisher = announce(bus, tmp_path)
    publisher.reconfigure(discovery_device(), enabled=False)
    publisher.start()
    published = len(bus.messages)
    bus.receive(birth())
    assert bus.retained[STALL] == b""
    assert (publisher.delayed, len(bus.messages)) == (None, published)


def test_damaged_file_of_announced_topics_is_logged_and_replaced(
    bus: MemoryBus, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "announced.json").write_text("{")
    announce(bus, tmp_path)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert json.loads((tmp_path / "announced.json").read_text())
