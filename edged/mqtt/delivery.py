"""Sends one connection's messages, and knows which of them the broker does not deliver, and why.

Upstream: `client`, whose thread owns it. Downstream: `connection`. A broker of MQTT 5 refuses; for others there is
`echo_check`; what ends a connection is found by `message_limits`. QoS 0 is never answered, so that of each such topic
one message in `PROBE_S` goes with QoS 1.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edged.messages import topics
from edged.mqtt.connection import MqttConnection, Refusal
from edged.mqtt.echo_check import EchoCheck, EchoResult
from edged.mqtt.held_messages import SendResult
from edged.mqtt.incoming import IncomingMessage
from edged.mqtt.message_limits import NO_RIGHT, NOT_RETURNED, TOO_LARGE, UNVERIFIED, MessageLimits, size_bytes
from edged.mqtt.send_queue import OutgoingMessage
from edged.mqtt.v5 import PACKET_OVERHEAD_BYTES
from edged.runtime.lru import LruDict

log = logging.getLogger(__name__)

PROBE_S = 10.0  # between two probes of a topic
FIRST_PROBE_S = 2.0  # after the first message of a connection
RETRY_REFUSED_S = 15.0  # what is not stored on disk and was refused is sent again after this
FORGET_REFUSED_S = 300.0  # a topic that is not tried again for so long: what is sent once is no problem for ever
MAX_LISTED = 8  # topics in `health`
SIZE_REASONS = {  # of a message that is set aside, in words
    "Packet too large": "packet too large; raise the broker's limit of message size",
    TOO_LARGE: TOO_LARGE,
}

OnResult = Callable[[OutgoingMessage, SendResult], None]


@dataclass(frozen=True, slots=True)
class RefusedTopic:
    reason: str  # of the latest refusal
    at_s: float  # time.monotonic


class Delivery:
    """What one broker takes. `on_result` is called with the result of every message."""

    def __init__(self, client_name: str, root: str, on_result: OnResult, on_verified: Callable[[], None]) -> None:
        """`client_name` and `root`, the topics of this device, are for log lines."""
        self._root = root
        self._client = client_name
        self._on_result = on_result
        self._on_verified = on_verified
        self._limits = MessageLimits()
        self._echo = EchoCheck(self._on_verdict)
        self._connection: MqttConnection | None = None
        self._uses_echo = False
        self._probed_s: LruDict[str, float] = LruDict()  # by topic
        self._refused: LruDict[str, RefusedTopic] = LruDict()  # until a message is taken there
        self.refused_subscriptions: set[str] = set()  # topics, until they are to be subscribed to again
        self._set_aside: LruDict[str, int] = LruDict()  # bytes by topic, of messages that this broker cannot take
        self._logged: LruDict[tuple[str, str], None] = LruDict()
        self._retry_s = math.inf
        self.refusals = 0
        self.unverified = False

    def begin(self, connection: MqttConnection) -> None:
        """Another connection to the broker."""
        self._connection = connection
        self._uses_echo = connection.version == "3.1.1" or connection.limits.max_qos == 0
        self._probed_s.clear()
        self._refused.clear()
        self.refused_subscriptions.clear()
        self._set_aside.clear()
        self._retry_s = math.inf
        self.unverified = False

    def end(self, connection: MqttConnection) -> bool:
        """Whether the connection ended, as it seems, because of one of its messages."""
        self._connection = None
        for message in self._echo.disconnected():
            if message.store_id is None:
                self._on_result(message, "published")
        return connection.cut_off and self._limits.connection_cut(connection.unconfirmed)

    def forget_limits(self) -> None:
        """The broker may have been changed."""
        self._limits.forget()

    def send(self, connection: MqttConnection, message: OutgoingMessage) -> None:
        """Send one message; only while the connection is `ready`."""
        connection.careful = self._limits.careful
        if self._limits.blocks(message):
            self._finish(message, Refusal(reason=self._limits.reason(message), permanent=True))
            return
        probe = self._probe_due(message)
        if self._uses_echo and (probe or self._must_return(message)):
            if message.topic not in connection.subscribed and message.topic not in self.refused_subscriptions:
                connection.subscribe(message.topic, as_published=False)
            self._echo.sent(message)
        connection.send(message, acknowledged=probe)

    def on_result(self, message: OutgoingMessage, refusal: Refusal | None) -> None:
        """What the connection says of a message."""
        connection = self._connection
        acknowledged = refusal is None and connection is not None and not connection.awaits(message)
        if acknowledged:
            self._limits.read(message)
        if refusal is None and self._uses_echo and self._echo.acknowledged(message):
            return
        if acknowledged:
            self._limits.taken(message)
            self._taken_again(message.topic)
        self._finish(message, refusal)

    def on_subscribed(self, topic: str, refusal: Refusal | None) -> None:
        """The answer to a subscription. That to our own `info` only looks for another device."""
        if topic.endswith(f"/{topics.INFO.path}") and not self._uses_echo:
            return
        if refusal is not None:
            self.refused_subscriptions.add(topic)
            if self._connection is not None:
                self._connection.subscribed.discard(topic)
            self._refuse(topic, refusal.reason)
        elif topic in self._refused and self._refused[topic].reason != NOT_RETURNED:  # of what is sent it says nothing
            self._taken_again(topic)

    def arrived(self, message: IncomingMessage) -> None:
        sent = self._echo.arrived(message)
        if sent is not None and self._connection is not None:
            self._connection.confirm(sent)

    def check(self) -> set[str]:
        """Topics that are to be tried again now. Called about once a second."""
        self._echo.check()
        now_s = time.monotonic()
        for topic in [topic for topic, refused in self._refused.items() if now_s - refused.at_s > FORGET_REFUSED_S]:
            del self._refused[topic]
        if now_s < self._retry_s:
            return set()
        self._retry_s = math.inf
        self.refused_subscriptions.clear()
        return set(self._refused)

    @property
    def stats(self) -> dict[str, Any]:
        """For `health`."""
        connection = self._connection
        return {
            "retain_available": connection.limits.retain if connection else None,
            "max_qos": connection.limits.max_qos if connection else None,
            "max_message_bytes": self._max_bytes,
            "refused": self.refusals,
            "refused_topics": {topic: self._refused[topic].reason for topic in sorted(self._refused)[:MAX_LISTED]},
            "too_large": dict(sorted(self._set_aside.items())[:MAX_LISTED]),
            "unverified": self.unverified,
        }

    @property
    def _max_bytes(self) -> int | None:
        """Of a payload and its topic; None: no limit is known."""
        packet = self._connection.limits.max_packet_bytes - PACKET_OVERHEAD_BYTES if self._connection else math.inf
        learned = math.inf if self._limits.max_bytes is None else self._limits.max_bytes - 1
        limit = min(packet, learned)
        return None if math.isinf(limit) else int(limit)

    def _must_return(self, message: OutgoingMessage) -> bool:
        """Not answers on the asker's own topic, which is not ours to read."""
        ours = message.spec.retain or message.store_id is not None or message.topic.startswith(self._root)
        return message.spec.qos == 1 and ours

    def _probe_due(self, message: OutgoingMessage) -> bool:
        if message.spec.qos:
            return False
        now_s = time.monotonic()
        probed_s = self._probed_s.setdefault(message.topic, now_s - PROBE_S + FIRST_PROBE_S)
        due = now_s - probed_s >= PROBE_S
        if due:
            self._probed_s[message.topic] = now_s
        return due

    def _on_verdict(self, message: OutgoingMessage, verdict: EchoResult) -> None:
        connection = self._connection
        now_and_then = not message.spec.retain and message.spec.store_priority is None
        if now_and_then and connection is not None and message.topic in connection.subscribed:
            connection.unsubscribe(message.topic)
        if verdict == "unknown":
            self._mark_unverified()
            self._on_result(message, "published" if message.store_id is None else "unverified")
        elif verdict == "returned":
            self.unverified = False
            self._on_verified()
            self._limits.taken(message)
            self._taken_again(message.topic)
            self._finish(message, None)
        else:
            self._limits.dropped(message)
            too_large = self._limits.blocks(message)
            reason = self._limits.reason(message) if too_large else NOT_RETURNED
            self._finish(message, Refusal(reason=reason, permanent=too_large))

    def _finish(self, message: OutgoingMessage, refusal: Refusal | None) -> None:
        if refusal is None:
            self._on_result(message, "published")
        elif refusal.permanent:
            self._put_aside(message, refusal.reason)
            self._on_result(message, "set aside")
        else:
            self._refuse(message.topic, refusal.reason)
            self._on_result(message, "refused")

    def _put_aside(self, message: OutgoingMessage, reason: str) -> None:
        self.refusals += 1
        size = size_bytes(message)
        if reason not in SIZE_REASONS:
            self._refused[message.topic] = RefusedTopic(reason, time.monotonic())
            self._log_once(message.topic, "refused", f"%s, {size} bytes, is not sent: {reason}")
            return
        self._set_aside[message.topic] = max(size, self._set_aside.get(message.topic, 0))
        limit = f", the limit is about {self._max_bytes}" if size > (self._max_bytes or size) else ""
        self._log_once(message.topic, "too large", f"%s, {size} bytes{limit}, is not sent: {SIZE_REASONS[reason]}")

    def _refuse(self, topic: str, reason: str) -> None:
        """Count every refusal, log each topic once."""
        self.refusals += 1
        self._refused[topic] = RefusedTopic(reason, time.monotonic())
        self._retry_s = min(self._retry_s, time.monotonic() + RETRY_REFUSED_S)
        hint = f"; {self._grant(topic)}" if reason in NO_RIGHT else ""
        self._log_once(topic, "refused", f"%s was refused: {reason}{hint}")

    def _grant(self, topic: str) -> str:
        """What to do about this topic: one of another id of ours, or Home Assistant's, is named itself."""
        return f"give {self._client} the right to {self._root + '#' if topic.startswith(self._root) else topic}"

    def _taken_again(self, topic: str) -> None:
        if self._refused.pop(topic, None) is not None:
            self._logged.pop((topic, "refused"), None)
            log.info("broker: %s is accepted again", topic)

    def _mark_unverified(self) -> None:
        if not self.unverified:
            self.unverified = True
            self._log_once("", "unverified", f"%s{UNVERIFIED}; {self._grant(self._root)}, or set mqtt.protocol to 5")

    def _log_once(self, topic: str, kind: str, text: str) -> None:
        if (topic, kind) not in self._logged:
            self._logged[topic, kind] = None
            log.warning("broker: " + text, topic)
