"""Home Assistant discovery: the appliance as a device, and each camera as one behind it. Pure.

Upstream: what is configured. Downstream: retained messages on `<prefix>/device/<box>/<id>/config`.
Entities are tables; every template reads a message of ours, which a test holds against real ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edged.messages.topics import (
    ALERT,
    CAMERA_STATUS,
    COMMAND,
    DAILY,
    HEALTH,
    SNAPSHOT,
    STATE,
    STATUS,
    Topic,
    TopicSpec,
)

Body = dict[str, Any]

DISCOVERY = TopicSpec(
    name="homeassistant",
    path="/{prefix}/device/{box}/{device}/config",
    retain=True,
    summary="Home Assistant discovery.",
)
BIRTH = TopicSpec(name="homeassistant-birth", path="/{prefix}/status", qos=0, summary="Home Assistant has started.")

EXPIRE_AFTER_PERIODS = 3.5  # health messages that may fail to come before their figures are unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One entity; `{camera}` and `{label}` are filled in. `state` is a Jinja template of the message's JSON."""

    key: str
    platform: str
    name: str
    spec: TopicSpec
    value_template: str | None = None
    attributes_template: str | None = None  # more of the same message, as a Jinja template
    options: Mapping[str, Any] = field(default_factory=dict)
    diagnostic: bool = False
    expires_with_health: bool = False  # unavailable when the health messages stop
    always_available: bool = False  # available even when the box is not: it says so itself

    def component(self, context: EntityContext, **names: str) -> Body:
        """Its part of a device payload."""
        body: Body = {"platform": self.platform, "name": self.name.format(**names), **self.options}
        body["unique_id"] = f"{context.id}_{self.key.format(**names)}"
        topic = context.topic(self.spec.at(**names))
        body["image_topic" if self.platform == "image" else "state_topic"] = topic
        if self.value_template is not None:
            body["value_template"] = _fill_names(self.value_template, names)
        if self.attributes_template is not None:
            body |= {"json_attributes_topic": topic, "json_attributes_template": self.attributes_template}
        if self.diagnostic:
            body["entity_category"] = "diagnostic"
        if self.expires_with_health:
            body["expire_after"] = round(context.health_s * EXPIRE_AFTER_PERIODS)
        if not self.always_available:
            body |= {"availability": context.availability, "availability_mode": "all"}
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityContext:
    """The box, or one camera of it: who it is and when it is there."""

    id: str
    root: str  # <base>/<device>/
    health_s: float
    camera: str | None = None

    def topic(self, topic: Topic) -> str:
        return self.root + topic.path

    @property
    def availability(self) -> list[Body]:
        channels = [STATUS.at(), *([CAMERA_STATUS.at(camera=self.camera)] if self.camera else [])]
        online = "{{ 'online' if value_json.state == 'online' else 'offline' }}"
        return [{"topic": self.topic(topic), "value_template": online} for topic in channels]


def _health_sensor(key: str, name: str, state: str, **options: Any) -> Entity:
    """A number of the health message."""
    return Entity(
        key=key,
        platform="sensor",
        name=name,
        spec=HEALTH,
        value_template="{{ " + state + " }}",
        options={"state_class": "measurement", **options},
        diagnostic=True,
        expires_with_health=True,
    )


def _daily_minutes(key: str, name: str, state: str, *, diagnostic: bool = False) -> Entity:
    """Minutes of a stall's day: `s` is its table, `m` the minutes in it."""
    return Entity(
        key=key,
        platform="sensor",
        name=name,
        spec=DAILY,
        value_template="{% set s = value_json.stall or {} %}{% set m = s.get('minutes', {}) %}{{ " + state + " }}",
        options={"device_class": "duration", "unit_of_measurement": "min", "state_class": "measurement"},
        diagnostic=diagnostic,
    )


DEVICE_ENTITIES = (
    Entity(
        key="connected",
        platform="binary_sensor",
        name="Connected",
        spec=STATUS,
        value_template="{{ 'ON' if value_json.state == 'online' else 'OFF' }}",
        options={"device_class": "connectivity"},
        diagnostic=True,
        always_available=True,
    ),
    Entity(
        key="problem",
        platform="binary_sensor",
        name="Problem",
        spec=HEALTH,
        value_template="{{ 'ON' if value_json.problems else 'OFF' }}",
        attributes_template="{{ {'problems': value_json.problems} | tojson }}",
        options={"device_class": "problem"},
        diagnostic=True,
        expires_with_health=True,
    ),
    _health_sensor(
        "temperature",
        "Temperature",
        "value_json.box.temperature_c",
        device_class="temperature",
        unit_of_measurement="°C",
    ),
    _health_sensor("cpu", "CPU", "value_json.box.cpu_percent", unit_of_measurement="%"),
    _health_sensor(
        "memory", "Free memory", "value_json.box.memory_free_mb", device_class="data_size", unit_of_measurement="MB"
    ),
    _health_sensor(
        "disk", "Free disk", "value_json.box.disk_free_mb", device_class="data_size", unit_of_measurement="MB"
    ),
    _health_sensor("uptime", "Uptime", "value_json.uptime_s", device_class="duration", unit_of_measurement="s"),
)

CAMERA_ENTITIES = (
    Entity(
        key="online",
        platform="binary_sensor",
        name="Online",
        spec=CAMERA_STATUS,
        value_template="{{ 'ON' if value_json.state == 'online' else 'OFF' }}",
        attributes_template="{{ {'state': value_json.state, 'reason': value_json.reason} | tojson }}",
        options={"device_class": "connectivity"},
        diagnostic=True,
        always_available=True,
    ),
    Entity(
        key="view",
        platform="sensor",
        name="View",
        spec=STATE,
        value_template="{{ value_json.view }}",
        options={"device_class": "enum", "options": ["ok", "degraded", "lost", "unknown"]},
    ),
    Entity(
        key="alert",
        platform="event",
        name="Alert",
        spec=ALERT,
        options={"event_types": []},  # filled in with the kinds that this box knows
    ),
    _health_sensor(
        "fps", "Frame rate", "value_json.cameras['{camera}'].fps", unit_of_measurement="Hz", device_class="frequency"
    ),
    _health_sensor(
        "dropped",
        "Dropped frames",
        "value_json.cameras['{camera}'].fps_dropped",
        unit_of_measurement="Hz",
        device_class="frequency",
    ),
    _health_sensor(
        "latency",
        "Latency",
        "(value_json.cameras['{camera}'].latency_ms or {'p95': None}).p95",
        device_class="duration",
        unit_of_measurement="ms",
    ),
)

CLASS_ENTITIES = (  # once per class that a camera looks for
    Entity(
        key="{label}_present",
        platform="binary_sensor",
        name="{label} present",
        spec=STATE,
        value_template="{{ 'ON' if (value_json.present or {}).get('{label}') else 'OFF' }}",
        options={"device_class": "occupancy"},
    ),
    Entity(
        key="{label}_count",
        platform="sensor",
        name="{label} count",
        spec=STATE,
        value_template="{{ (value_json.present or {}).get('{label}') }}",
        options={"state_class": "measurement"},
    ),
    Entity(
        key="{label}_minutes",
        platform="sensor",
        name="{label} present today",
        spec=DAILY,
        value_template="{{ value_json.present_min.get('{label}', 0) }}",
        options={"device_class": "duration", "unit_of_measurement": "min", "state_class": "total_increasing"},
    ),
)

STALL_ENTITIES = (  # of a camera that watches over one
    Entity(
        key="posture",
        platform="sensor",
        name="Posture",
        spec=STATE,
        value_template="{{ (value_json.stall or {}).get('posture', 'unknown') }}",
        attributes_template="{{ {'head': value_json.stall.head, 'doing': value_json.stall.doing, 'at': value_json.stall.at,"
        " 'horses': value_json.stall.horses, 'foal': value_json.stall.foal} | tojson if value_json.stall else '{}' }}",
        options={"device_class": "enum", "options": ["standing", "sternal", "lateral", "unknown"]},
    ),
    Entity(
        key="person_in_stall",
        platform="binary_sensor",
        name="Somebody there",
        spec=STATE,
        value_template="{{ 'ON' if (value_json.stall or {}).get('person') else 'OFF' }}",
        options={"device_class": "occupancy"},
    ),
    _daily_minutes("lying", "Lying today", "(m.get('sternal', 0) + m.get('lateral', 0)) | round(1)"),
    _daily_minutes("walked", "Walking today", "m.get('walking', 0)"),
    _daily_minutes("at_feeder", "At the feeder today", "m.get('at-feeder', 0)"),
    _daily_minutes("watched", "Seen today", "s.get('seen_min', 0)", diagnostic=True),
    _daily_minutes("longest", "Longest lying today", "s.get('longest_min', 0)"),
)

SNAPSHOT_ENTITY = Entity(
    key="snapshot", platform="image", name="Snapshot", spec=SNAPSHOT, options={"content_type": "image/jpeg"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryDevice:
    """What is announced."""

    id: str  # the device id
    base: str
    name: str
    version: str
    health_s: float
    prefix: str = "homeassistant"
    cameras: Mapping[str, tuple[str, ...]]  # the classes each looks for
    snapshot_cameras: frozenset[str] = frozenset()  # cameras that may be asked for a snapshot
    stall_cameras: frozenset[str] = frozenset()  # cameras that watch over one
    alert_kinds: tuple[str, ...] = ()  # of alerts
    allowed_commands: frozenset[str] = frozenset()  # that are allowed

    def payloads(self) -> dict[Topic, Body]:
        """Every device's retained payload."""
        made = {self._topic(self.id): self._device_payload()}
        for camera, labels in self.cameras.items():
            made[self._topic(f"{self.id}_{camera}")] = self._camera_payload(camera, labels)
        return made

    def _topic(self, device: str) -> Topic:
        """The box has a level to itself: brokers grant rights by whole levels."""
        return DISCOVERY.at(prefix=self.prefix, box=self.id, device=device)

    @property
    def _root(self) -> str:
        return f"{self.base}/{self.id}/"

    def _device_payload(self) -> Body:
        place = EntityContext(id=self.id, root=self._root, health_s=self.health_s)
        device = {"identifiers": [self.id], "name": self.name or self.id, "serial_number": self.id}
        return self._payload(device | {"model": "pose appliance"}, _components(DEVICE_ENTITIES, place))

    def _camera_payload(self, camera: str, labels: Iterable[str]) -> Body:
        place = EntityContext(id=f"{self.id}_{camera}", root=self._root, health_s=self.health_s, camera=camera)
        components = _components(CAMERA_ENTITIES, place, camera=camera)
        components[f"{place.id}_alert"]["event_types"] = list(self.alert_kinds)
        for label in labels:
            components |= _components(CLASS_ENTITIES, place, camera=camera, label=label)
        if camera in self.stall_cameras:
            components |= _components(STALL_ENTITIES, place, camera=camera)
        if self._has_snapshot(camera):
            components |= _components((SNAPSHOT_ENTITY,), place, camera=camera)
        components |= self._buttons(camera, place)
        device = {"identifiers": [place.id], "name": f"{self.name or self.id} {camera}", "via_device": self.id}
        return self._payload(device | {"model": "camera"}, components)

    def _buttons(self, camera: str, context: EntityContext) -> dict[str, Body]:
        """Commands that only need to know the camera."""
        verbs = {"restart-camera": "Restart", **({"snapshot": "Take snapshot"} if self._has_snapshot(camera) else {})}
        return {
            f"{context.id}_{verb}_button": {
                "platform": "button",
                "unique_id": f"{context.id}_{verb}_button",
                "name": name,
                "command_topic": context.topic(COMMAND.at(verb=verb)),
                "payload_press": json.dumps({"camera": camera}),
                "entity_category": "diagnostic",
                "availability": EntityContext(id=self.id, root=self._root, health_s=self.health_s).availability,
            }
            for verb, name in verbs.items()
            if verb in self.allowed_commands
        }

    def _has_snapshot(self, camera: str) -> bool:
        return camera in self.snapshot_cameras and "snapshot" in self.allowed_commands

    def _payload(self, device: Body, components: dict[str, Body]) -> Body:
        return {
            "device": device | {"manufacturer": "edged", "sw_version": self.version},
            "origin": {"name": "edged", "sw_version": self.version},
            "components": components,
        }


def _components(entities: Iterable[Entity], context: EntityContext, **names: str) -> dict[str, Body]:
    components = (entity.component(context, **names) for entity in entities)
    return {body["unique_id"]: body for body in components}


def _fill_names(template: str, names: Mapping[str, str]) -> str:
    """`{camera}` and `{label}` filled in; Jinja's own braces stay."""
    for name, value in names.items():
        template = template.replace("{" + name + "}", value)
    return template
