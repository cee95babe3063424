"""What MQTT 5 adds to a connection: the broker's terms, properties, short names for topics.

Upstream and downstream `mqtt_link`. Nothing here is needed to understand a message.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import lru_cache

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edged.bus.message import VERSION
from edged.bus.outbox import JSON, Letter

ENVELOPE_BYTES = 256  # most of what a packet needs beside topic and payload: header and properties
UNACKNOWLEDGED = 20  # QoS 1 messages on their way, as many as brokers take by default


@dataclass(frozen=True, slots=True)
class Terms:
    """What the broker takes, as said in its welcome."""

    aliases: int = 0
    unacknowledged: int = UNACKNOWLEDGED
    packet_bytes: float = math.inf

    def admit(self, letter: Letter) -> bool:
        """Whether it is small enough. A broker ends the connection over one that is not."""
        return len(letter.payload) + len(letter.topic) + ENVELOPE_BYTES <= self.packet_bytes


def terms(welcome: Properties | None) -> Terms:
    return Terms(
        aliases=getattr(welcome, "TopicAliasMaximum", 0),
        unacknowledged=min(UNACKNOWLEDGED, getattr(welcome, "ReceiveMaximum", UNACKNOWLEDGED)),
        packet_bytes=getattr(welcome, "MaximumPacketSize", math.inf),
    )


class Aliases:
    """Numbers for topics, good for one connection, as many as the broker takes.

    For QoS 0 only: a message that is sent again on the next connection would name a number nobody knows there.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._numbers: dict[str, int] = {}

    def shorten(self, letter: Letter) -> tuple[str, int | None]:
        """The topic to send and its number, if it has one; the topic is empty once the broker knows the number."""
        known = self._numbers.get(letter.topic)
        if known is not None:
            return "", known
        if letter.channel.qos or len(self._numbers) >= self._most:
            return letter.topic, None
        return letter.topic, self._numbers.setdefault(letter.topic, len(self._numbers) + 1)


def of_session() -> Properties:
    """Nothing is to be remembered for us: what must survive is in our own store."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = 0
    return properties


def of_letter(letter: Letter, alias: int | None = None) -> Properties:
    left_s = letter.left_s(time.monotonic_ns())
    expiry_s = None if left_s is None else max(1, math.ceil(left_s))
    return _publish(letter.channel.name, letter.content, expiry_s, letter.correlation, alias)


@lru_cache(maxsize=256)  # most messages of a camera are alike in this
def _publish(
    schema: str, content: str, expiry_s: int | None, correlation: bytes | None, alias: int | None
) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.PayloadFormatIndicator = int(content == JSON)
    properties.ContentType = content
    properties.UserProperty = ("schema", f"{schema}/{VERSION}")
    if expiry_s is not None:
        properties.MessageExpiryInterval = expiry_s
    if correlation is not None:
        properties.CorrelationData = correlation
    if alias is not None:
        properties.TopicAlias = alias
    return properties


def of_will(will: Letter) -> Properties:
    properties = Properties(PacketTypes.WILLMESSAGE)  # type: ignore[no-untyped-call]
    properties.PayloadFormatIndicator = int(will.content == JSON)
    properties.ContentType = will.content
    properties.UserProperty = ("schema", f"{will.channel.name}/{VERSION}")
    return properties
