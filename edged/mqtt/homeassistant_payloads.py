"""Home Assistant discovery: the edged device, and each camera as a device connected through it. Pure.

Upstream: the configuration. Downstream: retained messages on `<prefix>/device/<box>/<id>/config`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edged.config.tables.profiles import profile_choices
from edged.messages.topics import Topic, TopicSpec
from edged.mqtt.homeassistant_controls import buttons, profile_select, switches
from edged.mqtt.homeassistant_entities import (
    ALERT_EVENT,
    ALERT_SENSOR,
    CAMERA_ENTITIES,
    CLASS_ENTITIES,
    CLASS_MINUTES,
    DEVICE_ENTITIES,
    LAST_ALERT_ENTITY,
    SEPARATOR,
    SNAPSHOT_ENTITY,
    STALL_ENTITIES,
    Body,
    EntityContext,
    alert_event_types,
    components,
)

DISCOVERY = TopicSpec(
    name="homeassistant",
    path="/{prefix}/device/{box}/{device}/config",
    retain=True,
    summary="Home Assistant discovery.",
)
BIRTH = TopicSpec(name="homeassistant-birth", path="/{prefix}/status", qos=0, summary="Home Assistant has started.")


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
    alert_kinds: Mapping[str, tuple[str, ...]]  # that each camera may have
    snapshot_cameras: frozenset[str] = frozenset()  # with `images`
    evidence: bool = False  # alerts of those have stills
    stall_cameras: frozenset[str] = frozenset()  # with `stall`
    allowed_commands: frozenset[str] = frozenset()
    profiles: tuple[str, ...] = ()

    def payloads(self) -> dict[Topic, Body]:
        """The retained payload of each topic: one for the device, one per camera."""
        payloads = {self._topic(self.id): self._device_payload()}
        for camera, labels in self.cameras.items():
            payloads[self._topic(f"{self.id}_{camera}")] = self._camera_payload(camera, labels)
        return payloads

    def _topic(self, device: str) -> Topic:
        """The device has a topic level of its own: brokers grant rights by whole levels."""
        return DISCOVERY.at(prefix=self.prefix, box=self.id, device=device)

    def _context(self, camera: str | None = None) -> EntityContext:
        root = f"{self.base}/{self.id}/"
        return EntityContext(device=self.id, root=root, health_s=self.health_s, camera=camera)

    def _device_payload(self) -> Body:
        context = self._context()
        device = {"identifiers": [self.id], "name": self.name or self.id, "serial_number": self.id}
        parts = components(DEVICE_ENTITIES, context)
        if self.profiles and "profile" in self.allowed_commands:
            parts |= profile_select(context, profile_choices(self.profiles))
        return self._payload(device | {"model": "pose appliance"}, parts)

    def _camera_payload(self, camera: str, labels: Iterable[str]) -> Body:
        context = self._context(camera)
        parts = components((*CAMERA_ENTITIES, ALERT_EVENT), context, camera=camera)
        parts[f"{context.id}{SEPARATOR}{ALERT_EVENT.key}"]["event_types"] = alert_event_types(self.alert_kinds[camera])
        for kind in self.alert_kinds[camera]:
            parts |= components((ALERT_SENSOR,), context, camera=camera, kind=kind)
        in_stall = camera in self.stall_cameras
        for label in labels:
            entities = (CLASS_MINUTES,) if in_stall and label == "person" else (*CLASS_ENTITIES, CLASS_MINUTES)
            parts |= components(entities, context, camera=camera, label=label)
        if in_stall:  # whose `person_present` alone says whether a person is there
            parts |= components(STALL_ENTITIES, context, camera=camera)
        if self._has_snapshot(camera):
            parts |= components((SNAPSHOT_ENTITY,), context, camera=camera)
        if self.evidence and camera in self.snapshot_cameras:
            parts |= components((LAST_ALERT_ENTITY,), context, camera=camera, alert_id="+")
        parts |= self._controls(camera, context)
        device = {"identifiers": [context.id], "name": f"{self.name or self.id} {camera}", "via_device": self.id}
        return self._payload(device | {"model": "camera"}, parts)

    def _controls(self, camera: str, context: EntityContext) -> dict[str, Body]:
        """What the configuration allows to be done with the camera, and to be switched."""
        allowed = self.allowed_commands - (set() if self._has_snapshot(camera) else {"snapshot"})
        what = {"camera", "alerts"} | ({"images"} if camera in self.snapshot_cameras else set())
        return buttons(context, allowed) | (switches(context, what) if "switch" in allowed else {})

    def _has_snapshot(self, camera: str) -> bool:
        return camera in self.snapshot_cameras and "snapshot" in self.allowed_commands

    def _payload(self, device: Body, parts: dict[str, Body]) -> Body:
        return {
            "device": device | {"manufacturer": "edged", "sw_version": self.version},
            "origin": {"name": "edged", "sw_version": self.version},
            "components": parts,
        }
