"""The state of all devices of a base topic and of their cameras, from their messages alone.

Upstream: messages of any number of devices. Downstream: `edged watch`. Pure, but for the clock passed in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from edged.foreign_text import foreign_json
from edged.messages import health_schema, schema
from edged.messages.cbor import unpack
from edged.mqtt.packet_limit import DEVICE_PACKET_BYTES
from edged.runtime.lru import LruDict
from edged.units import NS_PER_S

MAX_DEVICES, MAX_CAMERAS = 2000, 64  # on an open broker anybody may claim any number
RATE_WINDOW = 50  # messages that a rate is computed from
RATE_TIMEOUT_NS = 10 * NS_PER_S  # a rate ignores older messages

Body = Mapping[str, Any]
DEVICE_BODIES = {"status": schema.Status, "info": schema.Info, "health": health_schema.Health}
CAMERA_BODIES = {"status": schema.CameraStatus, "state": schema.State, "daily": schema.Daily, "alert": schema.Alert}


@dataclass(slots=True, eq=False)
class FleetCamera:
    """The latest messages of one camera, and how they arrive."""

    status: Body = field(default_factory=dict)
    poses: Body = field(default_factory=dict)
    state: Body = field(default_factory=dict)
    daily: Body = field(default_factory=dict)
    alert: Body = field(default_factory=dict)
    lost: int = 0  # poses messages that did not arrive, by the gaps in `seq`
    arrivals_ns: deque[int] = field(default_factory=lambda: deque(maxlen=RATE_WINDOW))

    def update(self, poses: Body, now_ns: int) -> None:
        last, seq = self.poses.get("seq"), poses.get("seq")
        if isinstance(last, int) and isinstance(seq, int) and seq > last:
            self.lost += seq - last - 1
        self.poses = poses
        self.arrivals_ns.append(now_ns)

    def rate_hz(self, now_ns: int) -> float:
        """Poses messages per second over the last messages; 0 without recent ones."""
        recent = [arrival_ns for arrival_ns in self.arrivals_ns if now_ns - arrival_ns < RATE_TIMEOUT_NS]
        return (len(recent) - 1) * NS_PER_S / max(recent[-1] - recent[0], 1) if len(recent) > 1 else 0.0


@dataclass(slots=True, eq=False)
class FleetDevice:
    """The latest messages of one device, and its cameras."""

    status: Body = field(default_factory=dict)
    info: Body = field(default_factory=dict)
    health: Body = field(default_factory=dict)
    cameras: dict[str, FleetCamera] = field(default_factory=lambda: LruDict(MAX_CAMERAS))


class FleetState:
    """The devices below a base topic. Messages that break the schema are ignored."""

    def __init__(self, base: str, clock: Callable[[], int]) -> None:
        self._prefix = f"{base}/"
        self._clock = clock
        self.devices: dict[str, FleetDevice] = LruDict(MAX_DEVICES)

    def update(self, topic: str, payload: bytes) -> Body | None:
        """The body of the message; None when it is of another sender or breaks the schema."""
        body = decode_body(payload)
        device, *levels = topic.removeprefix(self._prefix).split("/")
        match levels:
            case _ if body is None or not topic.startswith(self._prefix):
                return None
            case ["status" | "info" | "health" as kind] if conforms(DEVICE_BODIES[kind], body):
                setattr(self._device(device), kind, body)
            case ["cam", camera, "status" | "state" | "daily" | "alert" as kind] if conforms(CAMERA_BODIES[kind], body):
                setattr(self._camera(device, camera), kind, body)
            case ["cam", camera, "poses"] if conforms(schema.Poses, body):
                self._camera(device, camera).update(body, self._clock())
            case _:
                return None
        return body

    def _device(self, device: str) -> FleetDevice:
        found = self.devices.setdefault(device, FleetDevice())
        self.devices[device] = found  # beyond MAX_DEVICES, the one that was heard of longest ago goes
        return found

    def _camera(self, device: str, camera: str) -> FleetCamera:
        cameras = self._device(device).cameras
        found = cameras.setdefault(camera, FleetCamera())
        cameras[camera] = found
        return found


def conforms(body_type: type, body: Body) -> bool:
    """Whether the fields present have the schema's types; a device of another version may have fewer."""
    try:
        _partial_adapter(body_type).validate_python(body, strict=True)
    except ValidationError:
        return False
    return True


@cache
def _partial_adapter(body_type: type) -> TypeAdapter[Any]:
    fields = get_type_hints(body_type, include_extras=True)
    return TypeAdapter(TypedDict(body_type.__name__, fields, total=False))  # type: ignore[operator]


def decode_body(payload: bytes) -> Body | None:
    """The body of a message in JSON or CBOR; None for anything else, and for more than a device sends."""
    if len(payload) > DEVICE_PACKET_BYTES:
        return None
    try:
        body = foreign_json(payload) if payload[:1] == b"{" else unpack(payload)
    except (ValueError, RecursionError, ImportError):
        return None
    return body if isinstance(body, dict) else None
