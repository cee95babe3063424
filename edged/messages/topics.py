"""Every kind of message: its topic, delivery and lifetime. The MQTT contract as a table.

Upstream: the publishers pick a row and fill in its camera. Downstream: the bus reads the delivery.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

JPEG, MP4 = "image/jpeg", "video/mp4"


class Priority(IntEnum):
    """Of a message in the store: the lowest is given up first."""

    LOW = 0
    HIGH = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSpec:
    """One kind of message."""

    name: str  # of its schema
    path: str  # below <base>/<device>/ with {camera} and {command} to fill in
    summary: str
    qos: Literal[0, 1] = 1
    retain: bool = False
    expiry_s: int | None = None  # MQTT 5: a broker drops it after this time; None: never
    media_type: str | None = None  # of the payload; None: JSON, or the CBOR of poses
    store_priority: Priority | None = None  # in the store that survives an outage; None: not stored

    def at(self, **names: str) -> Topic:
        """The topic for one camera or one command, by name."""
        return Topic(path=self.path.format(**names), spec=self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """The topic of one message. A path with a leading slash is the whole topic, without <base>/<device>/."""

    path: str
    spec: TopicSpec


def matches(pattern: str, topic: str) -> bool:
    """Whether a topic matches a pattern: `+` stands for one level, a last `#` for all that follow."""
    wanted, levels = pattern.split("/"), topic.split("/")
    if wanted[-1] == "#":
        wanted, levels = wanted[:-1], levels[: len(wanted) - 1]
    return len(wanted) == len(levels) and all(one in ("+", level) for one, level in zip(wanted, levels, strict=True))


STATUS = TopicSpec(
    name="status", path="status", retain=True, summary="Whether the device is online; also the last will."
)
INFO = TopicSpec(name="info", path="info", retain=True, summary="Versions, cameras and models of the device.")
HEALTH = TopicSpec(name="health", path="health", retain=True, summary="Condition of the device and its cameras.")
SWITCHES = TopicSpec(
    name="switches", path="switches", retain=True, summary="What is switched on and off, and the profile in effect."
)
REPORTED = TopicSpec(
    name="reported", path="reported", retain=True, summary="What the device has of what its fleet wants."
)
CAMERA_STATUS = TopicSpec(
    name="camera-status", path="cam/{camera}/status", retain=True, summary="State of a camera, and the reason."
)
POSES = TopicSpec(
    name="poses",
    path="cam/{camera}/poses",
    qos=0,
    expiry_s=5,
    summary="All subjects of one frame; at most `publish.max_rate_hz`.",
)
STATE = TopicSpec(
    name="state",
    path="cam/{camera}/state",
    retain=True,
    store_priority=Priority.LOW,
    summary="State of the scene; sent when it changes.",
)
DAILY = TopicSpec(
    name="daily",
    path="cam/{camera}/daily",
    retain=True,
    store_priority=Priority.HIGH,
    summary="Totals of one day, so far or closed.",
)
ALERT = TopicSpec(
    name="alert",
    path="cam/{camera}/alert",
    store_priority=Priority.HIGH,
    summary="An alert: opened, acknowledged, snoozed, closed.",
)
SNAPSHOT = TopicSpec(
    name="snapshot",
    path="cam/{camera}/snapshot",
    expiry_s=60,
    media_type=JPEG,
    summary="A JPEG of the camera, on command.",
)
DAY = TopicSpec(
    name="day",
    path="cam/{camera}/day",
    expiry_s=60,
    media_type=JPEG,
    summary="A stall's day as a JPEG, on command.",
)
ALERT_STILL = TopicSpec(
    name="alert-still",
    path="cam/{camera}/alert/{alert_id}/still",
    expiry_s=3600,
    media_type=JPEG,
    summary="What an alert looked like when it opened, as a JPEG, with `evidence.enabled`.",
)
ALERT_CLIP = TopicSpec(
    name="alert-clip",
    path="cam/{camera}/alert/{alert_id}/clip",
    expiry_s=60,
    media_type=MP4,
    summary="A video around the opening of an alert, on command.",
)
COMMAND = TopicSpec(name="command", path="cmd/{command}", expiry_s=30, summary="A command to the device.")
RESULT = TopicSpec(name="result", path="cmd/{command}/result", expiry_s=60, summary="The result of a command.")

OF_CAMERA = (CAMERA_STATUS, POSES, STATE, DAILY, ALERT, ALERT_STILL, ALERT_CLIP, SNAPSHOT, DAY)
TOPIC_SPECS = (STATUS, INFO, HEALTH, SWITCHES, REPORTED, *OF_CAMERA, COMMAND, RESULT)

# Of a group of devices, not below one: what the fleet wants of them, signed.
DESIRED = TopicSpec(name="desired", path="fleet/{group}/desired", retain=True, summary="What is wanted of a group.")


def desired_topic(base: str, group: str) -> Topic:
    """Where the message for a group is."""
    return Topic(path=f"/{base}/{DESIRED.path.format(group=group)}", spec=DESIRED)
