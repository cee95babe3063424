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
from edged.messages.commands import Profile, Snooze, Switch
from edged.messages.documents import json_schema
from edged.mqtt.homeassistant import DiscoveryPublisher
from edged.mqtt.homeassistant_controls import BUTTONS
from edged.mqtt.homeassistant_entities import (
    ALERT_EVENT,
    ALERT_SENSOR,
    CAMERA_ENTITIES,
    CLASS_ENTITIES,
    CLASS_MINUTES,
    DEVICE_ENTITIES,
    LAST_ALERT_ENTITY,
    SNAPSHOT_ENTITY,
    STALL_ENTITIES,
    Entity,
)
from edged.mqtt.homeassistant_payloads import BIRTH, DiscoveryDevice
from tests.support.clock import FixedOffsetClock
from tests.support.memory_bus import MemoryBus
from tools.homeassistant import examples

HORSE = ("horse",)


def discovery_device(**changes: Any) -> DiscoveryDevice:
    plain: dict[str, Any] = {"id": "box", "base": "site", "name": "", "version": "1", "health_s": 30.0}
    cameras = changes.pop("cameras", {"stall": HORSE})
    kinds = dict.fromkeys(cameras, ("camera-lost", "colic-suspected"))
    return DiscoveryDevice(**{**plain, "cameras": cameras, "alert_kinds": kinds, **changes})


def payload(device: str, **changes: Any) -> dict[str, Any]:
    return next(
        body
        for topic, body in discovery_device(**changes).payloads().items()
        if topic.path.endswith(f"/{device}/config")
    )


READS = re.compile(
    r"value_json\.get\('(\w+)'|value_json((?:\.\w+)+)|\(value_json\.(\w+) or \{\}\)\.get\('([a-z_]+)'"
    r"|\bs\.get\('(\w+)'"  # `s`: the stall's day
)


def fields_read(template: str) -> set[str]:
    """Paths of the message fields that a template reads, such as `stall.posture`."""
    found = set()
    for optional, path, table, key, of_stall in READS.findall(template):
        found.add(optional or path.strip(".") or (f"{table}.{key}" if table else f"stall.{of_stall}"))
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


ENTITIES = (
    *(*DEVICE_ENTITIES, *CAMERA_ENTITIES, *CLASS_ENTITIES, CLASS_MINUTES, *STALL_ENTITIES),
    *(ALERT_EVENT, ALERT_SENSOR),
)


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


def test_devices_whose_names_join_alike_have_no_id_in_common() -> None:
    one = discovery_device(id="barn", cameras={"a_b": HORSE}).payloads()
    other = discovery_device(id="barn_a", cameras={"b": HORSE}).payloads()
    ids = [{*body["device"]["identifiers"], *body["components"]} for body in (*one.values(), *other.values())]
    assert sum(map(len, ids)) == len(set.union(*ids))


def test_camera_entity_is_available_while_device_and_camera_are_online() -> None:
    view = payload("box_stall")["components"]["box.stall.view"]
    assert [one["topic"] for one in view["availability"]] == ["site/box/status", "site/box/cam/stall/status"]
    assert view["availability_mode"] == "all"


def test_connected_entity_is_always_available() -> None:
    assert "availability" not in payload("box")["components"]["box.connected"]


def test_alert_entities_are_available_while_camera_or_device_are_not() -> None:
    components = payload("box_stall")["components"]
    for key in ("alert", "camera-lost", "colic-suspected"):
        assert "availability" not in components[f"box.stall.{key}"]


def test_alert_event_has_a_type_for_every_stage_of_every_kind_of_its_camera() -> None:
    types = payload("box_stall", alert_kinds={"stall": ("camera-lost",)})["components"]["box.stall.alert"][
        "event_types"
    ]
    assert types == ["camera-lost", "camera-lost-acknowledged", "camera-lost-snoozed", "camera-lost-closed"]


def test_names_begin_with_a_capital_and_have_no_dashes() -> None:
    components = payload("box_stall", allowed_commands=frozenset({"acknowledge"}))["components"]
    names = [component["name"] for component in components.values()]
    assert {"Horse present", "Colic suspected", "Acknowledge alerts"} <= set(names)
    assert [name for name in names if not name[0].isupper() or "-" in name] == []


# What the real Home Assistant answered; `make homeassistant` writes it.

RECORDED = json.loads((Path(__file__).parent / "homeassistant.json").read_text())


def test_payloads_are_those_that_home_assistant_accepted() -> None:
    assert examples.payloads() == RECORDED["payloads"], "run `make homeassistant`"


KEYS = (
    *(entity.key for entity in (*ENTITIES, SNAPSHOT_ENTITY, LAST_ALERT_ENTITY)),
    *(f"{verb}_button" for verb in BUTTONS),
)


@pytest.mark.parametrize("key", KEYS)
def test_entity_is_among_those_that_home_assistant_accepted(key: str) -> None:
    pattern = re.compile(key.format(label="[a-z]+", kind="[a-z-]+"))
    found = {name.rpartition(".")[2] for body in RECORDED["payloads"].values() for name in body["components"]}
    assert any(map(pattern.fullmatch, found)), "add it to tools/homeassistant/examples.py"


@pytest.mark.parametrize("entity", ENTITIES, ids=lambda entity: entity.key)
def test_no_attribute_has_a_name_that_home_assistant_ignores(entity: Entity) -> None:
    names = re.findall(r"'(\w+)':", entity.attributes_template or "")
    if entity is ALERT_SENSOR:
        names += list(json_schema("state")["$defs"]["OpenAlert"]["properties"])
    assert not set(names) & set(RECORDED["blocked_attributes"])


def test_health_entity_expires_without_health_messages() -> None:
    assert payload("box", health_s=10.0)["components"]["box.cpu"]["expire_after"] == 35


def test_template_has_the_class_name_and_jinja_braces() -> None:
    template = payload("box_stall")["components"]["box.stall.horse_present"]["value_template"]
    assert template == "{{ 'ON' if (value_json.counts or {}).get('horse') else 'OFF' if value_json.counts else None }}"


def test_buttons_exist_for_allowed_commands_only() -> None:
    allowed = payload("box_stall", allowed_commands=frozenset({"restart-camera"}))["components"]
    assert [key for key in allowed if key.endswith("_button")] == ["box.stall.restart-camera_button"]
    assert not [key for key in payload("box_stall")["components"] if key.endswith("_button")]


def test_snooze_button_names_the_camera_and_a_time() -> None:
    button = payload("box_stall", allowed_commands=frozenset({"snooze"}))["components"]["box.stall.snooze_button"]
    assert Snooze.model_validate_json(button["payload_press"]) == Snooze(camera="stall", minutes=60)


def test_switches_are_of_what_the_configuration_has_on() -> None:
    def switches(**changes: Any) -> dict[str, Any]:
        found = payload("box_stall", **changes)["components"]
        return {key.rpartition(".")[2]: body for key, body in found.items() if body["platform"] == "switch"}

    assert switches() == {}
    may = frozenset({"switch"})
    assert list(switches(allowed_commands=may)) == ["camera_switch", "alerts_switch"]
    found = switches(allowed_commands=may, snapshot_cameras=frozenset({"stall"}))
    off = Switch.model_validate_json(found["images_switch"]["payload_off"])
    assert off == Switch(camera="stall", what="images", on=False)
    assert "camera" not in str(found["images_switch"]["availability"])
    assert has_field(json_schema("switches"), "cameras.stall.images.on")


def test_profiles_are_a_select_of_the_device() -> None:
    may = frozenset({"profile"})
    assert "box.profile_select" not in payload("box", allowed_commands=may)["components"]
    select = payload("box", allowed_commands=may, profiles=("night",))["components"]["box.profile_select"]
    assert select["options"] == ["auto", "none", "night"]
    assert Profile.model_validate_json(select["command_template"].replace("{{ value }}", "night")).name == "night"
    for template in (select["value_template"], select["json_attributes_template"]):
        assert all(has_field(json_schema("switches"), field) for field in fields_read(template))


def test_snapshot_entity_needs_images_and_an_allowed_command() -> None:
    assert "box.stall.snapshot" not in payload("box_stall")["components"]
    may = payload("box_stall", snapshot_cameras=frozenset({"stall"}), allowed_commands=frozenset({"snapshot"}))[
        "components"
    ]
    assert {"box.stall.snapshot", "box.stall.snapshot_button"} <= may.keys()
    assert "box.stall.snapshot" not in payload("box_stall", snapshot_cameras=frozenset({"stall"}))["components"]


def test_image_of_the_last_alert_exists_where_stills_are_kept() -> None:
    may = payload("box_stall", snapshot_cameras=frozenset({"stall"}), evidence=True)["components"]
    assert may["box.stall.last_alert"]["image_topic"].endswith("/cam/stall/alert/+/still")
    assert "availability" not in may["box.stall.last_alert"]
    for other in ({"evidence": True}, {"snapshot_cameras": frozenset({"stall"})}):
        assert "box.stall.last_alert" not in payload("box_stall", **other)["components"]


def test_stall_has_one_entity_for_the_presence_of_a_person() -> None:
    labels = {"stall": ("horse", "person")}
    stall = payload("box_stall", cameras=labels, stall_cameras=frozenset({"stall"}))["components"]
    assert [key for key in stall if "person" in key] == ["box.stall.person_minutes", "box.stall.person_in_stall"]
    assert "box.stall.person_present" in payload("box_stall", cameras=labels)["components"]


def test_stall_camera_has_the_stall_entities() -> None:
    own = {f"box.stall.{key}" for key in ("posture", "person_in_stall", "lying", "at_feeder", "observed")}
    assert own <= payload("box_stall", stall_cameras=frozenset({"stall"}))["components"].keys()
    assert not own & payload("box_stall")["components"].keys()


def test_device_of_the_configuration_has_every_alert_kind_and_stall() -> None:
    settings = Config.model_validate({"cameras": {"stall": {"source": "0", "stall": {"enabled": True}}}})
    known = info.discovery_device(settings, "box", {"stall": HORSE})
    assert {"camera-lost", "camera-moved", "colic-suspected", "foaling-suspected"} <= set(known.alert_kinds["stall"])
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
    for bus.connected in (False, False, True):
        bus.retained.clear()
        announce(bus, tmp_path, cameras={"stall": HORSE})
        assert bus.retained[YARD] == b""
    assert bus.retained[STALL]["components"]
    bus.retained.clear()
    announce(bus, tmp_path, cameras={"stall": HORSE})
    assert YARD not in bus.retained
    assert YARD not in json.loads((tmp_path / "announced.json").read_text())


def test_what_was_announced_under_a_former_device_id_stays_until_it_is_to_be_removed(
    bus: MemoryBus, tmp_path: Path
) -> None:
    announce(bus, tmp_path)
    bus.retained.clear()
    publisher = announce(bus, tmp_path, id="other")
    assert STALL not in bus.retained
    for _ in range(2):
        publisher.remove_former("box")
    assert bus.retained[STALL] == bus.retained["/homeassistant/device/box/box/config"] == b""
    assert len([body for body in bus.messages_on(STALL) if body == b""]) == 1
    assert all("/device/other/" in path for path in json.loads((tmp_path / "announced.json").read_text()))


def test_device_whose_base_topic_alone_changed_stays_announced(bus: MemoryBus, tmp_path: Path) -> None:
    announce(bus, tmp_path)
    announce(bus, tmp_path, base="site").remove_former("box")
    assert bus.retained[STALL]["components"]


def test_entities_that_are_gone_are_removed_from_then_on(bus: MemoryBus, tmp_path: Path) -> None:
    announce(bus, tmp_path, stall_cameras=frozenset({"stall"}))
    for _ in range(2):
        announce(bus, tmp_path)
        components = bus.retained[STALL]["components"]
        assert components["box.stall.posture"] == {"platform": "sensor"}
        assert components["box.stall.person_in_stall"] == {"platform": "binary_sensor"}
        assert components["box.stall.view"]["unique_id"] == "box.stall.view"
    announce(bus, tmp_path, stall_cameras=frozenset({"stall"}))
    assert bus.retained[STALL]["components"]["box.stall.posture"]["unique_id"] == "box.stall.posture"


def test_entities_of_a_development_version_are_removed_before_the_new_ones(bus: MemoryBus, tmp_path: Path) -> None:
    (tmp_path / "announced.json").write_text(json.dumps([STALL, YARD]))
    announce(bus, tmp_path)
    keys = list(bus.retained[STALL]["components"])
    assert bus.retained[STALL]["components"]["box_stall_view"] == {"platform": "sensor"}
    assert keys.index("box_stall_view") < keys.index("box.stall.online")
    assert bus.retained[YARD] == b""


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
