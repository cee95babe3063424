"""One connection to an MQTT broker, opened, used and closed by one thread. The only user of paho's client.

It never reconnects: when it breaks it raises BrokerLost, and its owner opens another.
Our own poll loop drives paho, so that no callback runs in another thread and no message queues up inside it.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edged.config.tables.mqtt import MqttConfig, TlsConfig
from edged.errors import BrokerLost, ConfigError
from edged.mqtt.send_queue import OutgoingMessage
from edged.mqtt.v5 import (
    BrokerLimits,
    TopicAliases,
    broker_limits,
    connect_properties,
    publish_properties,
    will_properties,
)
from edged.units import MS_PER_S

if TYPE_CHECKING:
    from paho.mqtt.client import SocketLike  # exists for type checkers only

# Names of MQTT 5 reason codes.
TRANSIENT_REASONS = frozenset({"Server shutting down", "Keep alive timeout", "Server busy"})  # reconnect at once
PERMANENT_REASONS = frozenset({"Topic name invalid", "Packet too large", "Payload format invalid"})  # never resend
CONNACK_TIMEOUT_S = 5.0  # the same as paho's for TCP and TLS, which come before
DISCONNECT_TIMEOUT_S = 0.2
KEEPALIVE_FRACTION = 0.7  # of the configured keep-alive: paho gives up after two of its own without an answer

VERSIONS = {"5": MQTTProtocolVersion.MQTTv5, "3.1.1": MQTTProtocolVersion.MQTTv311}


class ConnectionRefused(BrokerLost):
    """There was an answer: a refusal, or not from the broker that was asked for."""


class UnsupportedProtocol(ConnectionRefused):
    """The broker does not speak this MQTT version."""


class NoConnack(BrokerLost):
    """Connected, but CONNECT was not answered: the broker is starting, or speaks another MQTT version."""


class ProtocolNegotiator:
    """Which MQTT version to try: the one that worked, else the next after one that was not understood."""

    def __init__(self, protocol: str) -> None:
        self._rotation = deque(VERSIONS if protocol == "auto" else [protocol])
        self._confirmed: set[str] = set()
        self._failed: set[str] = set()  # since the last connection

    @property
    def current(self) -> str:
        return self._rotation[0]

    def confirm(self) -> None:
        """The current version works."""
        self._confirmed.add(self.current)
        self._failed.clear()

    def try_next(self, error: Exception) -> bool:
        """Whether the version may be the cause of this error, and another one is left to try before reporting it."""
        unanswered = isinstance(error, NoConnack) and self.current not in self._confirmed
        if not (unanswered or isinstance(error, UnsupportedProtocol)):
            return False
        self._failed.add(self.current)
        self._rotation.rotate(-1)
        return len(self._failed) < len(self._rotation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why the broker refused a message or a subscription."""

    reason: str  # name of the MQTT 5 reason code
    permanent: bool = False  # it would refuse that message again

    @property
    def code(self) -> str:
        """The reason as the code of an error: `not-authorized`."""
        return _code(self.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingMessage:
    """One message received."""

    topic: str
    payload: bytes
    retain: bool
    response_topic: str | None = None
    correlation: bytes | None = None
    content_type: str | None = None


class MqttConnection:
    """A connection from `open` to `close`."""

    def __init__(
        self,
        broker: MqttConfig,
        version: str,
        *,
        client_id: str,
        will: OutgoingMessage | None = None,
        on_result: Callable[[OutgoingMessage, Refusal | None], None] = lambda message, refusal: None,
        on_message: Callable[[IncomingMessage], None] = lambda message: None,
        on_subscribe_refused: Callable[[str, Refusal], None] = lambda topic, refusal: None,
    ) -> None:
        self.version = version
        self._broker = broker
        self._on_result = on_result
        self._on_message = on_message
        self._on_subscribe_refused = on_subscribe_refused
        self._limits = BrokerLimits()
        self._aliases = TopicAliases(0)
        self._pending_subscriptions: dict[int | None, str] = {}  # topics not yet granted, by message id
        self._last_ack_s = 0.0  # time of the last acknowledgement, or when there was nothing to acknowledge
        self._connack: ReasonCode | None = None
        self._end_reason: str | None = None  # why the connection ended
        self._error_type: type[BrokerLost] = BrokerLost  # to raise then
        self._unacked: dict[int, OutgoingMessage] = {}
        self._unwritten: tuple[OutgoingMessage, MQTTMessageInfo] | None = None
        self._client = self._new_client(client_id, will)
        self.subscribed: set[str] = set()  # topics

    def open(self) -> None:
        """Connect and wait for CONNACK. Raises BrokerLost, or one of its subclasses above."""
        keepalive_s = max(1, round(KEEPALIVE_FRACTION * self._broker.keepalive_s))
        session: dict[str, Any] = (
            {"clean_start": True, "properties": connect_properties()} if self.version == "5" else {}
        )
        try:
            self._client.connect(self._broker.host, self._broker.port, keepalive_s, **session)
        except (OSError, ValueError) as exc:
            refused = isinstance(exc, ssl.SSLError) and not isinstance(exc, ssl.SSLEOFError)
            error = ConnectionRefused if refused else BrokerLost
            hint = self._tls_hint(exc)
            code = "not-a-tls-port" if hint else "certificate" if _is_verification(exc) else "unreachable"
            raise error(f"{self._address}: {_error_text(exc)}{hint}", code) from exc
        end_s = time.monotonic() + CONNACK_TIMEOUT_S
        while self._connack is None and self._end_reason is None and time.monotonic() < end_s:
            self._poll_once(0.1, None)
        self._check_connack()

    def send(self, message: OutgoingMessage) -> None:
        """Send one message; only while `ready`. `on_result` is called with it later, or at once if it is too large."""
        if not self._limits.fits(message):
            self._on_result(message, Refusal(reason="Packet too large", permanent=True))
            return
        spec, topic, properties = message.spec, message.topic, None
        if self.version == "5":
            topic, alias = self._aliases.shorten(message)
            properties = publish_properties(message, alias)
        info = self._client.publish(topic, message.payload, spec.qos, spec.retain, properties)
        if spec.qos:
            self._last_ack_s = self._last_ack_s if self._unacked else time.monotonic()
            self._unacked[info.mid] = message
        else:
            self._unwritten = (message, info)
            self._finish_written()

    def subscribe(self, topic: str) -> None:
        """With MQTT 5 a new message keeps its retain flag, too (Retain As Published)."""
        self.subscribed.add(topic)
        options = {"options": SubscribeOptions(qos=1, retainAsPublished=True)} if self.version == "5" else {"qos": 1}
        self._pending_subscriptions[self._client.subscribe(topic, **options)[1]] = topic

    @property
    def ready(self) -> bool:
        """Whether one more message may be sent now; not while the broker does not read or acknowledge."""
        room = len(self._unacked) < self._limits.receive_max
        return self._end_reason is None and self._unwritten is None and room

    @property
    def in_flight(self) -> list[OutgoingMessage]:
        """Messages sent without a result yet, in order."""
        return [*self._unacked.values(), *([self._unwritten[0]] if self._unwritten else [])]

    def poll(self, timeout_s: float, wake: socket.socket | None = None) -> None:
        """Read, write and keep alive, for at most this long or until `wake` is readable. Raises BrokerLost."""
        if self._end_reason is None:
            self._poll_once(timeout_s, wake)
            self._finish_written()
            self._check_ack_timeout()
        if self._end_reason is not None:
            raise self._error_type(f"{self._address}: {self._end_reason}")

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

    @property
    def _address(self) -> str:
        return f"broker {self._broker.host}:{self._broker.port}"

    def _new_client(self, client_id: str, will: OutgoingMessage | None) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=VERSIONS[self.version], reconnect_on_failure=False
        )
        client.on_socket_open = _set_nodelay
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
            client.will_set(will.topic, will.payload, will.spec.qos, will.spec.retain, properties)
        return client

    def _handle_connack(
        self, client: Client, userdata: object, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self._connack = reason
        self._limits = broker_limits(properties)
        self._aliases = TopicAliases(self._limits.topic_alias_max)

    def _handle_disconnect(
        self,
        client: Client,
        userdata: object,
        flags: DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        by_broker = flags.is_disconnect_packet_from_server or reason.getName() == "Keep alive timeout"
        self._end_reason = self._end_reason or (f"ended by the broker: {reason}" if by_broker else "connection lost")
        if by_broker and reason.getName() not in TRANSIENT_REASONS:
            self._error_type = ConnectionRefused

    def _handle_puback(
        self, client: Client, userdata: object, mid: int, reason: ReasonCode, properties: Properties | None
    ) -> None:
        message = self._unacked.pop(mid, None)
        self._last_ack_s = time.monotonic()
        if message is not None:
            refusal = Refusal(reason=reason.getName(), permanent=reason.getName() in PERMANENT_REASONS)
            self._on_result(message, refusal if reason.is_failure else None)

    def _handle_suback(
        self, client: Client, userdata: object, mid: int, reasons: list[ReasonCode], properties: Properties | None
    ) -> None:
        topic = self._pending_subscriptions.pop(mid, None)
        if topic is not None and reasons[0].is_failure:
            self._on_subscribe_refused(topic, Refusal(reason=reasons[0].getName()))

    def _handle_message(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        properties = message.properties
        self._on_message(
            IncomingMessage(
                topic=message.topic,
                payload=bytes(message.payload),
                retain=message.retain,
                response_topic=getattr(properties, "ResponseTopic", None),
                correlation=getattr(properties, "CorrelationData", None),
                content_type=getattr(properties, "ContentType", None),
            )
        )

    def _tls_hint(self, exc: Exception) -> str:
        """A port that answers a TLS handshake with anything but a certificate is no TLS port."""
        answered = isinstance(exc, ConnectionResetError | ssl.SSLError)
        if not self._broker.tls.enabled or not answered or _is_verification(exc):
            return ""
        return f"; is {self._broker.port} its port for TLS? 8883 is usual"

    def _check_connack(self) -> None:
        if self._connack is None:
            tls = self._broker.tls
            did = (
                "closed the connection after" if self._end_reason else f"sent nothing for {CONNACK_TIMEOUT_S:g} s after"
            )
            hint, code = "", "no-connack"
            if not tls.enabled:
                hint, code = "; it may want TLS, see mqtt.tls", "tls-wanted"
            elif not tls.cert:
                hint, code = "; it may want a certificate, see mqtt.tls.cert", "certificate-wanted"
            raise NoConnack(f"{self._address}: {did} our MQTT {self.version} CONNECT{hint}", code)
        if self._connack.getName() == "Unsupported protocol version":
            raise UnsupportedProtocol(f"{self._address}: does not speak MQTT {self.version}")
        if self._connack.is_failure:
            text = f"{self._address}: refused: {self._connack}; check mqtt.username and its password"
            raise ConnectionRefused(text, _code(self._connack.getName()))

    def _poll_once(self, timeout_s: float, wake: socket.socket | None) -> None:
        sock = self._client.socket()
        if sock is None:
            self._end_reason = self._end_reason or "connection lost"
            return
        decrypted = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0  # already read from the socket
        ready = _poll_sockets(sock, self._client.want_write(), wake, 0 if decrypted else timeout_s)
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


def tls_context(tls: TlsConfig) -> ssl.SSLContext:
    """Raises ConfigError, with the name of the file that cannot be used."""
    try:
        context = ssl.create_default_context(cafile=tls.ca)
    except OSError as exc:
        text = f"mqtt.tls.ca = {tls.ca}: {_error_text(exc)}; want a PEM file this user can read"
        raise ConfigError(text, "tls-ca") from exc
    if tls.cert is not None and tls.key is not None:
        try:
            context.load_cert_chain(tls.cert, tls.key, password="")
        except OSError as exc:
            raise ConfigError(
                f"mqtt.tls.cert = {tls.cert}, key = {tls.key}: {_error_text(exc)}; "
                "want a PEM pair that belongs together, without a pass phrase, that this user can read",
                "tls-key-pair",
            ) from exc
    return context


def _poll_sockets(sock: SocketLike, writing: bool, wake: socket.socket | None, timeout_s: float) -> dict[int, int]:
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN | (select.POLLOUT if writing else 0))
    if wake is not None:
        poll.register(wake.fileno(), select.POLLIN)
    return dict(poll.poll(timeout_s * MS_PER_S))


def _set_nodelay(client: Client, userdata: object, sock: SocketLike) -> None:
    """Send small messages at once."""
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _code(reason: str) -> str:
    return reason.lower().replace(" ", "-")


def _is_verification(exc: Exception) -> bool:
    return isinstance(exc, ssl.SSLCertVerificationError)


def _error_text(exc: Exception) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {exc.verify_message}"
    return str(getattr(exc, "strerror", None) or exc)
