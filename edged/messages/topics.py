"""Every kind of message: where it goes, how it is delivered, how long it lives. The MQTT contract as a table.

Upstream: whoever publishes names a channel and fills in its camera. Downstream: the bus reads the delivery here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Low, High = 0, 1  # what the store gives up first, and last


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSpec:
    """One kind of message."""

    name: str  # of its schema
    path: str  # below <base>/<device>/ with {camera} and {verb} to fill in
    summary: str
    qos: Literal[0, 1] = 1
    retain: bool = False
    expiry_s: int | None = None  # MQTT 5: a broker drops it after so long; None: never
    store_priority: int | None = None  # survives an outage on disk, with this priority; None: it does not

    def at(self, **names: str) -> Topic:
        """This channel for one camera, or one verb."""
        return Topic(path=self.path.format(**names), spec=self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """Where one message goes. A path with a leading slash is the whole topic, without <base>/<device>/."""

    path: str
    spec: TopicSpec


def matches(pattern: str, topic: str) -> bool:
    """Whether a topic is meant: `+` stands for one level, a last `#` for all that follow."""
    wants, levels = pattern.split("/"), topic.split("/")
    if wants[-1] == "#":
        wants, levels = wants[:-1], levels[: len(wants) - 1]
    return len(wants) == len(levels) and all(want in ("+", level) for want, level in zip(wants, levels, strict=True))


STATUS = TopicSpec(name="status", path="status", retain=True, summary="Whether the box is there; also the last will.")
INFO = TopicSpec(name="info", path="info", retain=True, summary="What the box is: versions, cameras, models.")
HEALTH = TopicSpec(name="health", path="health", retain=True, summary="How the box and its cameras are doing.")
CAMERA_STATUS = TopicSpec(
    name="camera-status", path="cam/{camera}/status", retain=True, summary="Where a camera stands, and why."
)
POSES = TopicSpec(
    name="poses", path="cam/{camera}/poses", qos=0, expiry_s=5, summary="Everything seen in one frame; rate-capped."
)
STATE = TopicSpec(
    name="state",
    path="cam/{camera}/state",
    retain=True,
    store_priority=Low,
    summary="What goes on there; sent when it changes.",
)
DAILY = TopicSpec(
    name="daily",
    path="cam/{camera}/daily",
    retain=True,
    store_priority=High,
    summary="Totals of one day, so far or closed.",
)
ALERT = TopicSpec(
    name="alert",
    path="cam/{camera}/alert",
    store_priority=High,
    summary="Something a person should know; opens and closes.",
)
SNAPSHOT = TopicSpec(
    name="snapshot", path="cam/{camera}/snapshot", expiry_s=60, summary="A JPEG of the camera, when asked for."
)
DAY = TopicSpec(name="day", path="cam/{camera}/day", expiry_s=60, summary="A stall's day as a JPEG, when asked for.")
COMMAND = TopicSpec(
    name="command", path="cmd/{verb}", expiry_s=30, summary="What the box is asked to do; it listens here."
)
RESULT = TopicSpec(name="result", path="cmd/{verb}/result", expiry_s=60, summary="What became of a command.")

TOPIC_SPECS = (STATUS, INFO, HEALTH, CAMERA_STATUS, POSES, STATE, DAILY, ALERT, SNAPSHOT, DAY, COMMAND, RESULT)
