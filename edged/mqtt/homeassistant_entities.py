"""The entities that Home Assistant gets, as tables. Pure.

Upstream: `homeassistant_payloads`. A test compares the fields that their templates read with the message schemas.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edged.messages.topics import (
    ALERT,
    ALERT_STILL,
    CAMERA_STATUS,
    DAILY,
    HEALTH,
    SNAPSHOT,
    STATE,
    STATUS,
    Topic,
    TopicSpec,
)

Body = dict[str, Any]

EXPIRE_AFTER_PERIODS = 3.5  # of `publish.health_interval_s` without a health message: its entities are unavailable
SEPARATOR = "."  # between the parts of an id: no name of a device or camera has one


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One entity. `{camera}`, `{label}` and `{kind}` are filled in; the templates are Jinja over the message's JSON."""

    key: str
    platform: str
    name: str
    spec: TopicSpec
    value_template: str | None = None
    attributes_template: str | None = None  # of the same message
    options: Mapping[str, Any] = field(default_factory=dict)
    diagnostic: bool = False
    expires_with_health: bool = False  # unavailable without recent health messages
    always_available: bool = False  # also while the camera is lost or the device offline

    def component(self, context: EntityContext, **names: str) -> Body:
        """The entity's part of a device payload."""
        body: Body = {"platform": self.platform, "name": _display_name(self.name, names), **self.options}
        body["unique_id"] = f"{context.id}{SEPARATOR}{self.key.format(**names)}"
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
    """The device, or one camera of it: topics and availability."""

    device: str
    root: str  # <base>/<device>/
    health_s: float
    camera: str | None = None

    @property
    def id(self) -> str:
        return self.device if self.camera is None else f"{self.device}{SEPARATOR}{self.camera}"

    def topic(self, topic: Topic) -> str:
        return self.root + topic.path

    @property
    def availability(self) -> list[Body]:
        of_camera = [self._online(CAMERA_STATUS.at(camera=self.camera))] if self.camera else []
        return [*self.device_availability, *of_camera]

    @property
    def device_availability(self) -> list[Body]:
        return [self._online(STATUS.at())]

    def _online(self, topic: Topic) -> Body:
        template = "{{ 'online' if value_json.state == 'online' else 'offline' }}"
        return {"topic": self.topic(topic), "value_template": template}


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


def _daily_minutes(key: str, name: str, template: str, icon: str, *, diagnostic: bool = False) -> Entity:
    """A sensor of a stall's day; in `template`, `s` is the day and `m` its minutes."""
    return Entity(
        key=key,
        platform="sensor",
        name=name,
        spec=DAILY,
        value_template="{% set s = value_json.stall or {} %}{% set m = s.get('minutes', {}) %}{{ " + template + " }}",
        options={
            "device_class": "duration",
            "unit_of_measurement": "min",
            "state_class": "measurement",
            "icon": f"mdi:{icon}",
        },
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
    _health_sensor("cpu", "CPU", "value_json.device.cpu_percent", unit_of_measurement="%", icon="mdi:cpu-64-bit"),
    _health_sensor(
        "memory",
        "Free memory",
        "value_json.device.memory_available_mb",
        device_class="data_size",
        unit_of_measurement="MB",
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
        attributes_template="{{ {'phase': value_json.state, 'reason': value_json.reason} | tojson }}",
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
        options={"device_class": "enum", "options": ["ok", "degraded", "lost", "unknown"], "icon": "mdi:cctv"},
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
        value_template="{{ 'ON' if (value_json.counts or {}).get('{label}')"
        " else 'OFF' if value_json.counts else None }}",
        options={"device_class": "occupancy"},
    ),
    Entity(
        key="{label}_count",
        platform="sensor",
        name="{label} count",
        spec=STATE,
        value_template="{{ (value_json.counts or {}).get('{label}') }}",
        options={"state_class": "measurement", "icon": "mdi:counter"},
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
        options={
            "device_class": "enum",
            "options": ["standing", "sternal", "lateral", "unknown"],
            "icon": "mdi:horse-variant",
        },
    ),
    Entity(
        key="person_in_stall",
        platform="binary_sensor",
        name="Person in stall",
        spec=STATE,
        value_template="{{ 'ON' if (value_json.stall or {}).get('person_present')"
        " else 'OFF' if value_json.stall else None }}",
        options={"device_class": "occupancy"},
    ),
    _daily_minutes("lying", "Lying today", "(m.get('sternal', 0) + m.get('lateral', 0)) | round(1)", "bed"),
    _daily_minutes("walking", "Walking today", "m.get('walking', 0)", "horse-variant"),
    _daily_minutes("at_feeder", "At the feeder today", "m.get('at-feeder', 0)", "barley"),
    _daily_minutes("observed", "Observed today", "s.get('observed_minutes', 0)", "eye-outline", diagnostic=True),
    _daily_minutes("longest_lying", "Longest lying today", "s.get('longest_lying_minutes', 0)", "bed-clock"),
)

SNAPSHOT_ENTITY = Entity(
    key="snapshot",
    platform="image",
    name="Snapshot",
    spec=SNAPSHOT,
    options={"content_type": "image/jpeg", "icon": "mdi:camera"},
)

LAST_ALERT_ENTITY = Entity(  # whatever alert: `+` stands for its id
    key="last_alert",
    platform="image",
    name="Last alert",
    spec=ALERT_STILL,
    options={"content_type": "image/jpeg", "icon": "mdi:image-alert"},
    always_available=True,
)

# The two kinds of entity for alerts ignore a stored message that another one, stored too, supersedes: what was over
# before the device found the broker again rings nobody. Both are always available: that of a lost camera, too.

ALERT_EVENT = Entity(
    key="alert",
    platform="event",
    name="Alert",
    spec=ALERT,
    value_template="{% if not value_json.get('superseded') %}{{ dict(value_json, event_type=value_json.event_type"
    " ~ ('' if value_json.stage == 'open' else '-' ~ value_json.stage)) | tojson }}{% endif %}",
    options={"icon": "mdi:bell"},
    always_available=True,
)

ALERT_SENSOR = Entity(  # one per kind
    key="{kind}",
    platform="binary_sensor",
    name="{kind}",
    spec=STATE,
    value_template="{% if not value_json.get('superseded') %}{{ 'ON' if value_json.alerts"
    " | selectattr('event_type', 'eq', '{kind}') | list else 'OFF' }}{% endif %}",
    attributes_template="{{ (value_json.alerts | selectattr('event_type', 'eq', '{kind}') | list"
    " + [{}])[0] | tojson }}",
    options={"device_class": "problem"},
    always_available=True,
)


def alert_event_types(kinds: Iterable[str]) -> list[str]:
    """Of an alert that opens or is repeated the kind alone, as `colic-suspected`; else with its stage after it."""
    return [f"{kind}{suffix}" for kind in kinds for suffix in ("", "-acknowledged", "-snoozed", "-closed")]


def components(entities: Iterable[Entity], context: EntityContext, **names: str) -> dict[str, Body]:
    """The entities' parts of a device payload, by unique id."""
    bodies = (entity.component(context, **names) for entity in entities)
    return {body["unique_id"]: body for body in bodies}


def _display_name(name: str, names: Mapping[str, str]) -> str:
    """`{label} present` as `Horse present`, `{kind}` as `Colic suspected`."""
    filled = name.format(**names).replace("-", " ")
    return filled[:1].upper() + filled[1:]


def _fill_names(template: str, names: Mapping[str, str]) -> str:
    """`{camera}` and `{label}` filled in; Jinja's own braces stay."""
    for name, value in names.items():
        template = template.replace("{" + name + "}", value)
    return template
