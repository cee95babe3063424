"""Home Assistant discovery: the appliance as a device, and each camera as one behind it. Pure.

Upstream: what is configured. Downstream: retained messages on `<prefix>/device/<box>/<id>/config`.
Entities are tables; every template reads a message of ours, which a test holds against real ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edged.bus.topics import (
    ALERT,
    CAMERA_STATUS,
    COMMAND,
    DAILY,
    HEALTH,
    SNAPSHOT,
    STATE,
    STATUS,
    Channel,
    Topic,
)

Body = dict[str, Any]

DISCOVERY = Channel(
    name="homeassistant",
    path="/{prefix}/device/{box}/{device}/config",
    retain=True,
    summary="Home Assistant discovery.",
)
BIRTH = Channel(name="homeassistant-birth", path="/{prefix}/status", qos=0, summary="Home Assistant has started.")

MISSED = 3.5  # health messages that may fail to come before their figures are unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One entity; `{camera}` and `{label}` are filled in. `state` is a Jinja template of the message's JSON."""

    key: str
    platform: str
    name: str
    channel: Channel
    state: str | None = None
    attributes: str | None = None  # more of the same message, as a Jinja template
    options: Mapping[str, Any] = field(default_factory=dict)
    diagnostic: bool = False
    expires: bool = False  # unavailable when the health messages stop
    always: bool = False  # available even when the box is not: it says so itself

    def component(self, place: Place, **names: str) -> Body:
        """Its part of a device payload."""
        body: Body = {"platform": self.platform, "name": self.name.format(**names), **self.options}
        body["unique_id"] = f"{place.id}_{self.key.format(**names)}"
        topic = place.topic(self.channel.at(**names))
        body["image_topic" if self.platform == "image" else "state_topic"] = topic
        if self.state is not None:
            body["value_template"] = _filled(self.state, names)
        if self.attributes is not None:
            body |= {"json_attributes_topic": topic, "json_attributes_template": self.attributes}
        if self.diagnostic:
            body["entity_category"] = "diagnostic"
        if self.expires:
            body["expire_after"] = round(place.health_s * MISSED)
        if not self.always:
            body |= {"availability": place.availability, "availability_mode": "all"}
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
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


def _figure(key: str, name: str, state: str, **options: Any) -> Entity:
    """A number of the health message."""
    return Entity(
        key=key,
        platform="sensor",
        name=name,
        channel=HEALTH,
        state="{{ " + state + " }}",
        options={"state_class": "measurement", **options},
        diagnostic=True,
        expires=True,
    )


def _of_day(key: str, name: str, state: str, *, diagnostic: bool = False) -> Entity:
    """Minutes of a stall's day: `s` is its table, `m` the minutes in it."""
    return Entity(
        key=key,
        platform="sensor",
        name=name,
        channel=DAILY,
        state="{% set s = value_json.stall or {} %}{% set m = s.get('minutes', {}) %}{{ " + state + " }}",
        options={"device_class": "duration", "unit_of_measurement": "min", "state_class": "measurement"},
        diagnostic=diagnostic,
    )


BOX = (
    Entity(
        key="connected",
        platform="binary_sensor",
        name="Connected",
        channel=STATUS,
        state="{{ 'ON' if value_json.state == 'online' else 'OFF' }}",
        options={"device_class": "connectivity"},
        diagnostic=True,
        always=True,
    ),
    Entity(
        key="problem",
        platform="binary_sensor",
        name="Problem",
        channel=HEALTH,
        state="{{ 'ON' if value_json.problems else 'OFF' }}",
        attributes="{{ {'problems': value_json.problems} | tojson }}",
        options={"device_class": "problem"},
        diagnostic=True,
        expires=True,
    ),
    _figure(
        "temperature",
        "Temperature",
        "value_json.box.temperature_c",
        device_class="temperature",
        unit_of_measurement="°C",
    ),
    _figure("cpu", "CPU", "value_json.box.cpu_percent", unit_of_measurement="%"),
    _figure(
        "memory", "Free memory", "value_json.box.memory_free_mb", device_class="data_size", unit_of_measurement="MB"
    ),
    _figure("disk", "Free disk", "value_json.box.disk_free_mb", device_class="data_size", unit_of_measurement="MB"),
    _figure("uptime", "Uptime", "value_json.uptime_s", device_class="duration", unit_of_measurement="s"),
)

CAMERA = (
    Entity(
        key="online",
        platform="binary_sensor",
        name="Online",
        channel=CAMERA_STATUS,
        state="{{ 'ON' if value_json.state == 'online' else 'OFF' }}",
        attributes="{{ {'state': value_json.state, 'reason': value_json.reason} | tojson }}",
        options={"device_class": "connectivity"},
        diagnostic=True,
        always=True,
    ),
    Entity(
        key="view",
        platform="sensor",
        name="View",
        channel=STATE,
        state="{{ value_json.view }}",
        options={"device_class": "enum", "options": ["ok", "degraded", "lost", "unknown"]},
    ),
    Entity(
        key="alert",
        platform="event",
        name="Alert",
        channel=ALERT,
        options={"event_types": []},  # filled in with the kinds that this box knows
    ),
    _figure(
        "fps", "Frame rate", "value_json.cameras['{camera}'].fps", unit_of_measurement="Hz", device_class="frequency"
    ),
    _figure(
        "dropped",
        "Dropped frames",
        "value_json.cameras['{camera}'].fps_dropped",
        unit_of_measurement="Hz",
        device_class="frequency",
    ),
    _figure(
        "latency",
        "Latency",
        "(value_json.cameras['{camera}'].latency_ms or {'p95': None}).p95",
        device_class="duration",
        unit_of_measurement="ms",
    ),
)

LABEL = (  # once per class that a camera looks for
    Entity(
        key="{label}_present",
        platform="binary_sensor",
        name="{label} present",
        channel=STATE,
        state="{{ 'ON' if (value_json.present or {}).get('{label}') else 'OFF' }}",
        options={"device_class": "occupancy"},
    ),
    Entity(
        key="{label}_count",
        platform="sensor",
        name="{label} count",
        channel=STATE,
        state="{{ (value_json.present or {}).get('{label}') }}",
        options={"state_class": "measurement"},
    ),
    Entity(
        key="{label}_minutes",
        platform="sensor",
        name="{label} present today",
        channel=DAILY,
        state="{{ value_json.present_min.get('{label}', 0) }}",
        options={"device_class": "duration", "unit_of_measurement": "min", "state_class": "total_increasing"},
    ),
)

STALL = (  # of a camera that watches over one
    Entity(
        key="posture",
        platform="sensor",
        name="Posture",
        channel=STATE,
        state="{{ (value_json.stall or {}).get('posture', 'unknown') }}",
        attributes="{{ {'head': value_json.stall.head, 'doing': value_json.stall.doing, 'at': value_json.stall.at,"
        " 'horses': value_json.stall.horses, 'foal': value_json.stall.foal} | tojson if value_json.stall else '{}' }}",
        options={"device_class": "enum", "options": ["standing", "sternal", "lateral", "unknown"]},
    ),
    Entity(
        key="person_in_stall",
        platform="binary_sensor",
        name="Somebody there",
        channel=STATE,
        state="{{ 'ON' if (value_json.stall or {}).get('person') else 'OFF' }}",
        options={"device_class": "occupancy"},
    ),
    _of_day("lying", "Lying today", "(m.get('sternal', 0) + m.get('lateral', 0)) | round(1)"),
    _of_day("walked", "Walking today", "m.get('walking', 0)"),
    _of_day("at_feeder", "At the feeder today", "m.get('at-feeder', 0)"),
    _of_day("watched", "Seen today", "s.get('seen_min', 0)", diagnostic=True),
    _of_day("longest", "Longest lying today", "s.get('longest_min', 0)"),
)

PICTURE = Entity(
    key="snapshot", platform="image", name="Snapshot", channel=SNAPSHOT, options={"content_type": "image/jpeg"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Appliance:
    """What is announced."""

    id: str  # the device id
    base: str
    name: str
    version: str
    health_s: float
    prefix: str = "homeassistant"
    cameras: Mapping[str, tuple[str, ...]]  # the classes each looks for
    pictures: frozenset[str] = frozenset()  # cameras that may be asked for a snapshot
    stalls: frozenset[str] = frozenset()  # cameras that watch over one
    kinds: tuple[str, ...] = ()  # of alerts
    commands: frozenset[str] = frozenset()  # that are allowed

    def announcements(self) -> dict[Topic, Body]:
        """Every device's retained payload."""
        made = {self._topic(self.id): self._box()}
        for camera, labels in self.cameras.items():
            made[self._topic(f"{self.id}_{camera}")] = self._camera(camera, labels)
        return made

    def _topic(self, device: str) -> Topic:
        """The box has a level to itself: brokers grant rights by whole levels."""
        return DISCOVERY.at(prefix=self.prefix, box=self.id, device=device)

    @property
    def _root(self) -> str:
        return f"{self.base}/{self.id}/"

    def _box(self) -> Body:
        place = Place(id=self.id, root=self._root, health_s=self.health_s)
        device = {"identifiers": [self.id], "name": self.name or self.id, "serial_number": self.id}
        return self._payload(device | {"model": "pose appliance"}, _components(BOX, place))

    def _camera(self, camera: str, labels: Iterable[str]) -> Body:
        place = Place(id=f"{self.id}_{camera}", root=self._root, health_s=self.health_s, camera=camera)
        components = _components(CAMERA, place, camera=camera)
        components[f"{place.id}_alert"]["event_types"] = list(self.kinds)
        for label in labels:
            components |= _components(LABEL, place, camera=camera, label=label)
        if camera in self.stalls:
            components |= _components(STALL, place, camera=camera)
        if self._shows(camera):
            components |= _components((PICTURE,), place, camera=camera)
        components |= self._buttons(camera, place)
        device = {"identifiers": [place.id], "name": f"{self.name or self.id} {camera}", "via_device": self.id}
        return self._payload(device | {"model": "camera"}, components)

    def _buttons(self, camera: str, place: Place) -> dict[str, Body]:
        """Commands that only need to know the camera."""
        verbs = {"restart-camera": "Restart", **({"snapshot": "Take snapshot"} if self._shows(camera) else {})}
        return {
            f"{place.id}_{verb}_button": {
                "platform": "button",
                "unique_id": f"{place.id}_{verb}_button",
                "name": name,
                "command_topic": place.topic(COMMAND.at(verb=verb)),
                "payload_press": json.dumps({"camera": camera}),
                "entity_category": "diagnostic",
                "availability": Place(id=self.id, root=self._root, health_s=self.health_s).availability,
            }
            for verb, name in verbs.items()
            if verb in self.commands
        }

    def _shows(self, camera: str) -> bool:
        return camera in self.pictures and "snapshot" in self.commands

    def _payload(self, device: Body, components: dict[str, Body]) -> Body:
        return {
            "device": device | {"manufacturer": "edged", "sw_version": self.version},
            "origin": {"name": "edged", "sw_version": self.version},
            "components": components,
        }


def _components(entities: Iterable[Entity], place: Place, **names: str) -> dict[str, Body]:
    components = (entity.component(place, **names) for entity in entities)
    return {body["unique_id"]: body for body in components}


def _filled(template: str, names: Mapping[str, str]) -> str:
    """`{camera}` and `{label}` filled in; Jinja's own braces stay."""
    for name, value in names.items():
        template = template.replace("{" + name + "}", value)
    return template
