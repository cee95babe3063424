"""What a watcher knows, from messages alone: boxes, their cameras, who is there, and what was lost on the way.

Upstream: messages of any number of boxes below one base topic. Downstream: a view. Pure, but for the clock given in.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from edged.messages import schema
from edged.messages.cbor import unpack
from edged.units import NS_PER_S

RATE_WINDOW = 50  # arrivals the rate is taken from
RATE_TIMEOUT_NS = 10 * NS_PER_S  # without poses for so long, the rate is 0

Body = Mapping[str, Any]
DEVICE_BODIES = {"status": schema.Status, "info": schema.Info, "health": schema.Health}


@dataclass(slots=True, eq=False)
class FleetCamera:
    """One camera, as far as its messages tell."""

    status: Body = field(default_factory=dict)
    poses: Body = field(default_factory=dict)
    lost: int = 0  # poses messages that were sent and did not arrive
    arrivals_ns: deque[int] = field(default_factory=lambda: deque(maxlen=RATE_WINDOW))

    def update(self, poses: Body, now_ns: int) -> None:
        before, number = self.poses.get("seq"), poses.get("seq")
        if isinstance(before, int) and isinstance(number, int) and number > before:
            self.lost += number - before - 1
        self.poses = poses
        self.arrivals_ns.append(now_ns)

    def rate_hz(self, now_ns: int) -> float:
        """Poses messages per second, lately."""
        recent = [at for at in self.arrivals_ns if now_ns - at < RATE_TIMEOUT_NS]
        return (len(recent) - 1) * NS_PER_S / max(recent[-1] - recent[0], 1) if len(recent) > 1 else 0.0


@dataclass(slots=True, eq=False)
class FleetDevice:
    """One device, as far as its messages tell."""

    status: Body = field(default_factory=dict)
    info: Body = field(default_factory=dict)
    health: Body = field(default_factory=dict)
    cameras: dict[str, FleetCamera] = field(default_factory=dict)


class FleetState:
    """Everything below a base topic. Messages of other senders are passed over."""

    def __init__(self, base: str, clock: Callable[[], int]) -> None:
        self._prefix = f"{base}/"
        self._clock = clock
        self.devices: dict[str, FleetDevice] = {}

    def update(self, topic: str, payload: bytes) -> Body | None:
        """The message, or None when it is not one of ours."""
        body = decode_body(payload)
        device, *levels = topic.removeprefix(self._prefix).split("/")
        match levels:
            case _ if body is None or not topic.startswith(self._prefix):
                return None
            case ["status" | "info" | "health" as kind] if conforms(DEVICE_BODIES[kind], body):
                setattr(self._device(device), kind, body)
            case ["cam", camera, "status"] if conforms(schema.CameraStatus, body):
                self._camera(device, camera).status = body
            case ["cam", camera, "poses"] if conforms(schema.Poses, body):
                self._camera(device, camera).update(body, self._clock())
            case _:
                return None
        return body

    def _device(self, device: str) -> FleetDevice:
        return self.devices.setdefault(device, FleetDevice())

    def _camera(self, device: str, camera: str) -> FleetCamera:
        return self._device(device).cameras.setdefault(camera, FleetCamera())


def conforms(kind: type, body: Body) -> bool:
    """Whether all that it says is of the contract's types; a box of another version may say less."""
    try:
        _partial_adapter(kind).validate_python(body, strict=True)
    except ValidationError:
        return False
    return True


@cache
def _partial_adapter(kind: type) -> TypeAdapter[Any]:
    fields = get_type_hints(kind, include_extras=True)
    return TypeAdapter(TypedDict(kind.__name__, fields, total=False))  # type: ignore[operator]


def decode_body(payload: bytes) -> Body | None:
    """A message's body, JSON or packed; None for anything else."""
    try:
        body = json.loads(payload) if payload[:1] == b"{" else unpack(payload)
    except (ValueError, RecursionError, ImportError):
        return None
    return body if isinstance(body, dict) else None
