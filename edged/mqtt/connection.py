"""One connection to an MQTT broker, opened, used and closed by one thread. The only user of paho's client.

It never reconnects: when it breaks it raises BrokerLost, and its owner opens another.
Our own poll loop drives paho, so that no callback runs in another thread and no message queues up inside it.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edged.config.tables.mqtt import MqttConfig
from edged.errors import BrokerLost
from edged.mqtt import connect_errors, websocket
from edged.mqtt.connect_errors import TRANSIENT_REASONS, address, reason_code
from edged.mqtt.incoming import IncomingMessage
from edged.mqtt.negotiation import FULL, VERSIONS, ConnectionRefused, Greeting
from edged.mqtt.packet_limit import READER_PACKET_BYTES, LimitedClient
from edged.mqtt.send_queue import OutgoingMessage
from edged.mqtt.sockets import certificate_end_s, poll_sockets, set_nodelay
from edged.mqtt.tls import tls_context
from edged.mqtt.v5 import (
    BrokerLimits,
    TopicAliases,
    broker_limits,
    connect_properties,
    publish_properties,
    will_properties,
)

# Names of MQTT 5 reason codes.
PERMANENT_REASONS = frozenset({"Topic name invalid", "Packet too large", "Payload format invalid"})  # of this message
# Of a DISCONNECT, for the message that came last; paho finds the first one itself.
MESSAGE_REASONS = PERMANENT_REASONS | {
    "Protocol error", "Malformed packet", "Not authorized", "Retain not supported", "QoS not supported"
}  # fmt: skip
CUT_OFF, HUNG_UP = "connection lost", "hung-up"  # the text, and the code of the error
CONNACK_TIMEOUT_S = 5.0  # the same as paho's for TCP and TLS, which come before
DISCONNECT_TIMEOUT_S = 0.2  # for DISCONNECT to leave; a stop may take 1.8 s (runtime/signals.py)
MAX_UNCONFIRMED = 64  # messages that are remembered as sent since the last acknowledgement
KEEPALIVE_FRACTION = 0.7  # of the configured keep-alive: paho gives up after two of its own without an answer


class SessionTakenOver(BrokerLost):
    """Another client with this client id has connected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why the broker refused a message or a subscription."""

    reason: str  # name of the MQTT 5 reason code
    permanent: bool = False  # it would refuse that message again

    @property
    def code(self) -> str:
        """The reason as the code of an error: `not-authorized`."""
        return reason_code(self.reason)


class MqttConnection:
    """A connection from `open` to `close`."""

    def __init__(
        self,
        broker: MqttConfig,
        version: str,
        *,
        client_id: str,
        will: OutgoingMessage | None = None,
        greeting: Greeting = FULL,
        max_packet_bytes: int = READER_PACKET_BYTES,
        on_result: Callable[[OutgoingMessage, Refusal | None], None] = lambda message, refusal: None,
        on_message: Callable[[IncomingMessage], None] = lambda message: None,
        on_subscribed: Callable[[str, Refusal | None], None] = lambda topic, refusal: None,
    ) -> None:
        self.version = version
        self._broker = broker
        self._on_result = on_result
        self._on_message = on_message
        self._on_subscribed = on_subscribed
        self._greeting = greeting
        self._max_packet_bytes = max_packet_bytes
        self.limits = BrokerLimits(retain=greeting.retain, max_qos=greeting.max_qos)
        self.careful = False  # one message at a time, each acknowledged
        self._aliases = TopicAliases(0)
        self._pending_subscriptions: dict[int | None, str] = {}  # topics not yet granted, by message id
        self._last_ack_s = 0.0  # time of the last acknowledgement, or when there was nothing to acknowledge
        self.certificate_end_s: float | None = None  # of the broker, UTC; None: without TLS
        self._connack: ReasonCode | None = None
        self._end_reason: str | None = None  # why the connection ended
        self._error_type: type[BrokerLost] = BrokerLost  # to raise then
        self.explained = False  # the broker said why, and not that it is for another client of this id
        self._unacked: dict[int, OutgoingMessage] = {}
        self._unconfirmed: deque[OutgoingMessage] = deque(maxlen=MAX_UNCONFIRMED)
        self._unwritten: tuple[OutgoingMessage, MQTTMessageInfo] | None = None
        self._client = self._new_client(client_id, will)
        self.subscribed: set[str] = set()  # topics

    def open(self) -> None:
        """Connect and wait for CONNACK. Raises BrokerLost, or one of its subclasses above."""
        keepalive_s = max(1, round(KEEPALIVE_FRACTION * self._broker.keepalive_s))
        session: dict[str, Any] = (
            {"clean_start": True, "properties": connect_properties(self._max_packet_bytes)}
            if self.version == "5"
            else {}
        )
        try:
            self._client.connect(self._broker.host, self._broker.port, keepalive_s, **session)
        except (OSError, ValueError, IndexError) as exc:  # paho raises the last two for a bad answer to a WebSocket
            raise connect_errors.unreachable(self._broker, exc) from exc
        end_s = time.monotonic() + CONNACK_TIMEOUT_S
        while self._connack is None and self._end_reason is None and time.monotonic() < end_s:
            self._poll_once(0.1, None)
        self._check_connack()
        self.certificate_end_s = certificate_end_s(self._client.socket())

    def send(self, message: OutgoingMessage, *, acknowledged: bool = False) -> None:
        """Send one message; only while `ready`. `on_result` is called with it later, or at once if it is too large.

        `acknowledged`: with QoS 1, whatever its kind has, if the broker knows that.
        """
        if not self.limits.fits(message):
            self._on_result(message, Refusal(reason="Packet too large", permanent=True))
            return
        spec, topic, properties = message.spec, message.topic, None
        qos = min(self.limits.max_qos, 1 if acknowledged or self.careful else spec.qos)
        if self.version == "5":
            topic, alias = (topic, None) if qos else self._aliases.shorten(message)
            properties = publish_properties(message, alias)
        info = self._client.publish(topic, message.payload, qos, spec.retain and self.limits.retain, properties)
        self._unconfirmed.append(message)
        if qos:
            self._last_ack_s = self._last_ack_s if self._unacked else time.monotonic()
            self._unacked[info.mid] = message
        else:
            self._unwritten = (message, info)
            self._finish_written()

    def unsubscribe(self, topic: str) -> None:
        self.subscribed.discard(topic)
        self._client.unsubscribe(topic)

    def subscribe(self, topic: str, *, as_published: bool = True) -> None:
        """`as_published`: with MQTT 5 a new message keeps its retain flag, too; else only stored ones have it.

        With QoS 0: the session ends with its connection, so that QoS 1 would repeat nothing. A cluster keeps a queue
        for each subscription with QoS 1, and mosquitto 2.0.11 sends no more with QoS 1 once it has left out 20 messages
        that are larger than this client takes.
        """
        self.subscribed.add(topic)
        options: dict[str, Any] = {"qos": 0}
        if self.version == "5":
            options = {"options": SubscribeOptions(qos=0, retainAsPublished=as_published)}
        self._pending_subscriptions[self._client.subscribe(topic, **options)[1]] = topic

    @property
    def unanswered_subscriptions(self) -> list[str]:
        """Topics that the broker has neither granted nor refused."""
        return list(self._pending_subscriptions.values())

    @property
    def ready(self) -> bool:
        """Whether one more message may be sent now; not while the broker does not read or acknowledge."""
        room = len(self._unacked) < (1 if self.careful else self.limits.receive_max)
        return self._end_reason is None and self._unwritten is None and room

    @property
    def in_flight(self) -> list[OutgoingMessage]:
        """Messages sent without a result yet, in order."""
        return [*self._unacked.values(), *([self._unwritten[0]] if self._unwritten else [])]

    @property
    def unconfirmed(self) -> list[OutgoingMessage]:
        """Messages of which it is unknown whether the broker has read them, in order."""
        return list(self._unconfirmed)

    @property
    def cut_off(self) -> bool:
        """Whether the other side ended the connection, without a reason or with one that a message may be."""
        return self._end_reason is not None and self._end_reason.startswith(CUT_OFF)

    def awaits(self, message: OutgoingMessage) -> bool:
        """Whether it is unknown if the broker has read this message."""
        return any(sent is message for sent in self._unconfirmed)

    def confirm(self, message: OutgoingMessage) -> None:
        """The broker has sent this message to its subscribers: it has read what came before, too."""
        if self.awaits(message):
            while self._unconfirmed.popleft() is not message:
                pass

    def poll(self, timeout_s: float, wake: socket.socket | None = None) -> None:
        """Read, write and keep alive, for at most this long or until `wake` is readable. Raises BrokerLost."""
        if self._end_reason is None:
            self._poll_once(timeout_s, wake)
            self._finish_written()
            self._check_ack_timeout()
        if self._end_reason is not None:
            code = HUNG_UP if self.cut_off else ""
            raise self._error_type(f"{address(self._broker)}: {self._end_reason}", code)

    def close(self) -> None:
        """Send DISCONNECT, so that the broker does not publish the last will."""
        self._client.disconnect()
        end_s = time.monotonic() + DISCONNECT_TIMEOUT_S
        while self._client.socket() is not None and time.monotonic() < end_s:
            self._poll_once(0.02, None)
        self.abandon()

    def abandon(self) -> None:
        """Close the socket without DISCONNECT."""
        sock = self._client.socket()
        if sock is not None:
            with suppress(OSError):
                sock.close()

    def _new_client(self, client_id: str, will: OutgoingMessage | None) -> Client:
        client = LimitedClient(
            CallbackAPIVersion.VERSION2,
            client_id,
            protocol=VERSIONS[self.version],
            transport="websockets" if self._broker.transport == "websocket" else "tcp",
            reconnect_on_failure=False,
            max_packet_bytes=self._max_packet_bytes,
        )
        if self._broker.transport == "websocket":
            client.ws_set_options(websocket.path_of(self._broker), headers=websocket.headers_of(self._broker))
        client.on_socket_open = set_nodelay
        client.on_connect = self._handle_connack
        client.on_disconnect = self._handle_disconnect
        client.on_publish = self._handle_puback
        client.on_subscribe = self._handle_suback
        client.on_message = self._handle_message
        if self._broker.username:
            client.username_pw_set(self._broker.username, self._broker.password.get_secret_value() or None)
        if self._broker.tls.enabled:
            client.tls_set_context(tls_context(self._broker.tls))
        if will is not None:
            properties = will_properties(will) if self.version == "5" else None
            qos, retain = min(will.spec.qos, self.limits.max_qos), will.spec.retain and self.limits.retain
            client.will_set(will.topic, will.payload, qos, retain, properties)
        return client

    def _handle_connack(
        self, client: Client, userdata: object, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self._connack = reason
        self.limits = broker_limits(properties, self._greeting)
        self._aliases = TopicAliases(self.limits.topic_alias_max)

    def _handle_disconnect(
        self,
        client: Client,
        userdata: object,
        flags: DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        name = reason.getName()
        by_broker = flags.is_disconnect_packet_from_server or name == "Keep alive timeout"
        of_message = name in MESSAGE_REASONS
        text = f"{CUT_OFF}: {reason}" if of_message else connect_errors.ended(name) if by_broker else CUT_OFF
        self._end_reason = self._end_reason or text
        if by_broker and not of_message and name not in TRANSIENT_REASONS:
            self._error_type = ConnectionRefused
        taken_over = name == "Session taken over"
        self.explained |= flags.is_disconnect_packet_from_server and not taken_over
        if taken_over:
            self._error_type = SessionTakenOver

    def _handle_puback(
        self, client: Client, userdata: object, mid: int, reason: ReasonCode, properties: Properties | None
    ) -> None:
        message = self._unacked.pop(mid, None)
        self._last_ack_s = time.monotonic()
        if message is not None:
            self.confirm(message)
            refusal = Refusal(reason=reason.getName(), permanent=reason.getName() in PERMANENT_REASONS)
            self._on_result(message, refusal if reason.is_failure else None)

    def _handle_suback(
        self, client: Client, userdata: object, mid: int, reasons: list[ReasonCode], properties: Properties | None
    ) -> None:
        topic = self._pending_subscriptions.pop(mid, None)
        name, failed = (reasons[0].getName(), reasons[0].is_failure) if reasons else ("Malformed packet", True)
        if topic is not None:
            self._on_subscribed(topic, Refusal(reason=name) if failed else None)

    def _handle_message(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        properties = message.properties
        self._on_message(
            IncomingMessage(
                topic=message.topic,
                payload=bytes(message.payload),
                retain=message.retain,
                response_topic=getattr(properties, "ResponseTopic", None),
                correlation=getattr(properties, "CorrelationData", None),
            )
        )

    def _check_connack(self) -> None:
        if self._connack is None:
            closed = self._end_reason is not None
            raise connect_errors.unanswered(self._broker, self.version, CONNACK_TIMEOUT_S, closed=closed)
        if self._connack.is_failure:
            raise connect_errors.refused(self._broker, self.version, self._connack.getName())

    def _poll_once(self, timeout_s: float, wake: socket.socket | None) -> None:
        sock = self._client.socket()
        if sock is None:
            self._end_reason = self._end_reason or CUT_OFF
            return
        decrypted = hasattr(sock, "pending") and sock.pending() > 0  # TLS, already read from the socket
        ready = poll_sockets(sock, self._client.want_write(), wake, 0 if decrypted else timeout_s)
        if wake is not None and wake.fileno() in ready:
            wake.recv(4096)
        events = ready.get(sock.fileno(), 0)
        if decrypted or events & ~select.POLLOUT:
            self._client.loop_read()
        if events & select.POLLOUT:
            self._client.loop_write()
        self._client.loop_misc()

    def _finish_written(self) -> None:
        if self._unwritten is not None:
            message, info = self._unwritten
            if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS and info.is_published():
                self._unwritten = None
                self._on_result(message, None)

    def _check_ack_timeout(self) -> None:
        """A broker may answer every ping and acknowledge nothing."""
        silent_s = time.monotonic() - self._last_ack_s
        if self._unacked and silent_s > self._broker.keepalive_s:
            self._end_reason = self._end_reason or f"nothing acknowledged for {silent_s:.0f} s"
