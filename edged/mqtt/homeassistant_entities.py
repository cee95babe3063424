"""Home Assistant discovery: the edged device, and each camera as a device connected through it. Pure.

Upstream: the configuration. Downstream: retained messages on `<prefix>/device/<box>/<id>/config`.
Entities are tables; a test compares the fields that their templates read with the message schemas.
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

EXPIRE_AFTER_PERIODS = 3.5  # of `publish.health_interval_s` without a health message: its entities are unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One entity. `{camera}` and `{label}` are filled in; the templates are Jinja over the message's JSON."""

    key: str
    platform: str
    name: str
    spec: TopicSpec
    value_template: str | None = None
    attributes_template: str | None = None  # of the same message
    options: Mapping[str, Any] = field(default_factory=dict)
    diagnostic: bool = False
    expires_with_health: bool = False  # unavailable without recent health messages
    always_available: bool = False  # also while the device is offline: it shows just that

    def component(self, context: EntityContext, **names: str) -> Body:
        """The entity's part of a device payload."""
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
    """The device, or one camera of it: id, topics and availability."""

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


def _health_sensor(key: str, name: str, template: str, **options: Any) -> Entity:
    """A sensor that shows one number of the health message."""
    return Entity(
        key=key,
        platform="sensor",
        name=name,
        spec=HEALTH,
        value_template="{{ " + template + " }}",
        options={"state_class": "measurement", **options},
        diagnostic=True,
        expires_with_health=True,
    )


def _daily_minutes(key: str, name: str, template: str, *, diagnostic: bool = False) -> Entity:
    """A sensor of a stall's day; in `template`, `s` is the day and `m` its minutes."""
    return Entity(
        key=key,
        platform="sensor",
        name=name,
        spec=DAILY,
        value_template="{% set s = value_json.stall or {} %}{% set m = s.get('minutes', {}) %}{{ " + template + " }}",
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
        "value_json.device.temperature_c",
        device_class="temperature",
        unit_of_measurement="°C",
    ),
    _health_sensor("cpu", "CPU", "value_json.device.cpu_percent", unit_of_measurement="%"),
    _health_sensor(
        "memory", "Free memory", "value_json.device.memory_free_mb", device_class="data_size", unit_of_measurement="MB"
    ),
    _health_sensor(
        "disk", "Free disk", "value_json.device.disk_free_mb", device_class="data_size", unit_of_measurement="MB"
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
        options={"event_types": []},  # `DiscoveryDevice.alert_kinds`
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

CLASS_ENTITIES = (  # one set per class that a camera detects
    Entity(
        key="{label}_present",
        platform="binary_sensor",
        name="{label} present",
        spec=STATE,
        value_template="{{ 'ON' if (value_json.counts or {}).get('{label}') else 'OFF' }}",
        options={"device_class": "occupancy"},
    ),
    Entity(
        key="{label}_count",
        platform="sensor",
        name="{label} count",
        spec=STATE,
        value_template="{{ (value_json.counts or {}).get('{label}') }}",
        options={"state_class": "measurement"},
    ),
)

CLASS_MINUTES = Entity(
    key="{label}_minutes",
    platform="sensor",
    name="{label} present today",
    spec=DAILY,
    value_template="{{ value_json.presence_minutes.get('{label}', 0) }}",
    options={"device_class": "duration", "unit_of_measurement": "min", "state_class": "total_increasing"},
)

STALL_ENTITIES = (  # of a camera with `[cameras.<name>.stall]`
    Entity(
        key="posture",
        platform="sensor",
        name="Posture",
        spec=STATE,
        value_template="{{ (value_json.stall or {}).get('posture', 'unknown') }}",
        attributes_template="{{ {'head_height': value_json.stall.head_height,"
        " 'behaviours': value_json.stall.behaviours, 'zone': value_json.stall.zone,"
        " 'horse_count': value_json.stall.horse_count, 'foal_posture': value_json.stall.foal_posture}"
        " | tojson if value_json.stall else '{}' }}",
        options={"device_class": "enum", "options": ["standing", "sternal", "lateral", "unknown"]},
    ),
    Entity(
        key="person_in_stall",
        platform="binary_sensor",
        name="Person in stall",
        spec=STATE,
        value_template="{{ 'ON' if (value_json.stall or {}).get('person_present') else 'OFF' }}",
        options={"device_class": "occupancy"},
    ),
    _daily_minutes("lying", "Lying today", "(m.get('sternal', 0) + m.get('lateral', 0)) | round(1)"),
    _daily_minutes("walking", "Walking today", "m.get('walking', 0)"),
    _daily_minutes("at_feeder", "At the feeder today", "m.get('at-feeder', 0)"),
    _daily_minutes("observed", "Observed today", "s.get('observed_minutes', 0)", diagnostic=True),
    _daily_minutes("longest_lying", "Longest lying today", "s.get('longest_lying_minutes', 0)"),
)

SNAPSHOT_ENTITY = Entity(
    key="snapshot", platform="image", name="Snapshot", spec=SNAPSHOT, options={"content_type": "image/jpeg"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryDevice:
    """An edged device and its cameras, as Home Assistant is to know them."""

    id: str  # of the device
    base: str
    name: str
    version: str
    health_s: float
    prefix: str = "homeassistant"
    cameras: Mapping[str, tuple[str, ...]]  # the classes that each detects
    snapshot_cameras: frozenset[str] = frozenset()  # with `images`
    stall_cameras: frozenset[str] = frozenset()  # with `stall`
    alert_kinds: tuple[str, ...] = ()
    allowed_commands: frozenset[str] = frozenset()

    def payloads(self) -> dict[Topic, Body]:
        """The retained payload of each topic: one for the device, one per camera."""
        payloads = {self._topic(self.id): self._device_payload()}
        for camera, labels in self.cameras.items():
            payloads[self._topic(f"{self.id}_{camera}")] = self._camera_payload(camera, labels)
        return payloads

    def _topic(self, device: str) -> Topic:
        """The device has a topic level of its own: brokers grant rights by whole levels."""
        return DISCOVERY.at(prefix=self.prefix, box=self.id, device=device)

    @property
    def _root(self) -> str:
        return f"{self.base}/{self.id}/"

    def _device_payload(self) -> Body:
        context = EntityContext(id=self.id, root=self._root, health_s=self.health_s)
        device = {"identifiers": [self.id], "name": self.name or self.id, "serial_number": self.id}
        return self._payload(device | {"model": "pose appliance"}, _components(DEVICE_ENTITIES, context))

    def _camera_payload(self, camera: str, labels: Iterable[str]) -> Body:
        context = EntityContext(id=f"{self.id}_{camera}", root=self._root, health_s=self.health_s, camera=camera)
        components = _components(CAMERA_ENTITIES, context, camera=camera)
        in_stall = camera in self.stall_cameras
        components[f"{context.id}_alert"]["event_types"] = list(self.alert_kinds)
        for label in labels:
            entities = (CLASS_MINUTES,) if in_stall and label == "person" else (*CLASS_ENTITIES, CLASS_MINUTES)
            components |= _components(entities, context, camera=camera, label=label)
        if in_stall:  # whose `person_present` alone says whether a person is there
            components |= _components(STALL_ENTITIES, context, camera=camera)
        if self._has_snapshot(camera):
            components |= _components((SNAPSHOT_ENTITY,), context, camera=camera)
        components |= self._buttons(camera, context)
        device = {"identifiers": [context.id], "name": f"{self.name or self.id} {camera}", "via_device": self.id}
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
