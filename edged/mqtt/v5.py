"""What MQTT 5 adds to a connection: the broker's limits, message properties, topic aliases.

Upstream and downstream: `connection`. A message can be understood without any of it.
"""

from __future__ import annotations

import math
import time
from copy import copy
from dataclasses import dataclass
from functools import lru_cache

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edged.messages.schema import MESSAGE_VERSION
from edged.mqtt.negotiation import Greeting
from edged.mqtt.send_queue import JSON, OutgoingMessage

PACKET_OVERHEAD_BYTES = 256  # header and properties, at most
RECEIVE_MAX = 20  # QoS 1 messages in flight; mosquitto's default


@dataclass(frozen=True, slots=True)
class BrokerLimits:
    """What the broker accepts, from its CONNACK."""

    topic_alias_max: int = 0
    receive_max: int = RECEIVE_MAX
    max_packet_bytes: float = math.inf
    retain: bool = True  # it stores retained messages
    max_qos: int = 1

    def fits(self, message: OutgoingMessage) -> bool:
        """Whether the message is small enough. A broker ends the connection over one that is not."""
        return len(message.payload) + len(message.topic) + PACKET_OVERHEAD_BYTES <= self.max_packet_bytes


def broker_limits(connack: Properties | None, greeting: Greeting) -> BrokerLimits:
    """The limits in the properties of CONNACK; the defaults of MQTT, or the greeting's, where it says nothing."""
    return BrokerLimits(
        topic_alias_max=getattr(connack, "TopicAliasMaximum", 0),
        receive_max=min(RECEIVE_MAX, getattr(connack, "ReceiveMaximum", RECEIVE_MAX)),
        max_packet_bytes=getattr(connack, "MaximumPacketSize", math.inf),
        retain=greeting.retain and bool(getattr(connack, "RetainAvailable", True)),
        max_qos=min(greeting.max_qos, getattr(connack, "MaximumQoS", 1)),
    )


class TopicAliases:
    """Topic aliases of one connection, as many as the broker accepts.

    For QoS 0 only: a message that is sent again on the next connection would bear an alias unknown there.
    """

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._aliases: dict[str, int] = {}

    def shorten(self, message: OutgoingMessage) -> tuple[str, int | None]:
        """The topic to send, and its alias if it has one; the topic is empty once the broker knows the alias."""
        alias = self._aliases.get(message.topic)
        if alias is not None:
            return "", alias
        if message.spec.qos or len(self._aliases) >= self._maximum:
            return message.topic, None
        return message.topic, self._aliases.setdefault(message.topic, len(self._aliases) + 1)


def connect_properties(max_packet_bytes: int) -> Properties:
    """No session is kept for us: the persistent queue does that. Larger packets are not sent to us."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = 0
    properties.MaximumPacketSize = max_packet_bytes
    return properties


def publish_properties(message: OutgoingMessage, alias: int | None = None) -> Properties:
    remaining_s = message.remaining_s(time.monotonic_ns())
    expiry_s = None if remaining_s is None else max(1, math.ceil(remaining_s))
    properties = _cached_properties(message.spec.name, message.content_type, expiry_s, alias)
    if message.correlation is not None:  # another machine's bytes, which the cache must not keep
        properties = copy(properties)
        properties.CorrelationData = message.correlation
    return properties


@lru_cache(maxsize=256)  # most messages of a camera are alike in this
def _cached_properties(schema: str, content_type: str, expiry_s: int | None, alias: int | None) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.PayloadFormatIndicator = int(content_type == JSON)
    properties.ContentType = content_type
    properties.UserProperty = ("schema", f"{schema}/{MESSAGE_VERSION}")
    if expiry_s is not None:
        properties.MessageExpiryInterval = expiry_s
    if alias is not None:
        properties.TopicAlias = alias
    return properties


def will_properties(will: OutgoingMessage) -> Properties:
    properties = Properties(PacketTypes.WILLMESSAGE)  # type: ignore[no-untyped-call]
    properties.PayloadFormatIndicator = int(will.content_type == JSON)
    properties.ContentType = will.content_type
    properties.UserProperty = ("schema", f"{will.spec.name}/{MESSAGE_VERSION}")
    return properties
