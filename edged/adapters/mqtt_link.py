"""One connection to an MQTT broker, made, used and closed by one thread. All of paho-mqtt is here.

It never reconnects: when it breaks it raises `BrokerLost`, and whoever holds it makes another.
paho is driven by our own poll loop, so no callback runs in a thread of its own and nothing queues up in it.
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

from edged.adapters.mqtt_v5 import Aliases, Terms, of_letter, of_session, of_will, terms
from edged.bus.outbox import Letter
from edged.config import Mqtt, Tls
from edged.errors import BrokerLost, ConfigError
from edged.units import MS_PER_S

if TYPE_CHECKING:
    from paho.mqtt.client import SocketLike  # exists for type checkers only

LEFT_TO_ITSELF = frozenset({"Server shutting down", "Keep alive timeout", "Server busy"})  # worth another try at once
PERMANENT = frozenset({"Topic name invalid", "Packet too large", "Payload format invalid"})
ANSWER_S = 5.0  # longest wait for the broker's answer; paho gives TCP and TLS as long before it
GOODBYE_S = 0.2
SILENCE = 0.7  # of the keep-alive: paho gives a silent broker up after two of its own

VERSIONS = {"5": MQTTProtocolVersion.MQTTv5, "3.1.1": MQTTProtocolVersion.MQTTv311}


class Refused(BrokerLost):
    """Somebody answered, and does not want us, or is not whom we want."""


class RefusedVersion(Refused):
    """The broker does not speak this MQTT version."""


class Unheard(BrokerLost):
    """Something is there but does not answer our greeting: busy starting, or of another MQTT version."""


class Versions:
    """Which MQTT version to try: the one that works, else the next when the last was not understood."""

    def __init__(self, protocol: str) -> None:
        self._rotation = deque(VERSIONS if protocol == "auto" else [protocol])
        self._proven: set[str] = set()
        self._unheard: set[str] = set()  # since the last connection

    @property
    def current(self) -> str:
        return self._rotation[0]

    def worked(self) -> None:
        self._proven.add(self.current)
        self._unheard.clear()

    def blame(self, lost: Exception) -> bool:
        """Whether the version may be to blame and another is worth a try before anything is made of it."""
        unheard = isinstance(lost, Unheard) and self.current not in self._proven
        if not (unheard or isinstance(lost, RefusedVersion)):
            return False
        self._unheard.add(self.current)
        self._rotation.rotate(-1)
        return len(self._unheard) < len(self._rotation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why the broker did not take a message, or a subscription."""

    reason: str
    for_good: bool = False  # it would refuse that message again


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message received."""

    topic: str
    payload: bytes
    retain: bool
    response_topic: str | None = None
    correlation: bytes | None = None
    content: str | None = None


class Link:
    """A connection from `open` to `close`."""

    def __init__(
        self,
        broker: Mqtt,
        version: str,
        *,
        client_id: str,
        will: Letter | None = None,
        on_settled: Callable[[Letter, Refusal | None], None] = lambda letter, refusal: None,
        on_message: Callable[[Message], None] = lambda message: None,
        on_deaf: Callable[[str, Refusal], None] = lambda topic, refusal: None,
    ) -> None:
        self.version = version
        self._broker = broker
        self._on_settled = on_settled
        self._on_message = on_message
        self._on_deaf = on_deaf
        self._terms = Terms()
        self._aliases = Aliases(0)
        self._asked: dict[int | None, str] = {}  # subscriptions not yet granted
        self._progress_s = 0.0  # when the broker last acknowledged, or had nothing to acknowledge
        self._answer: ReasonCode | None = None
        self._end: str | None = None  # why the connection ended
        self._lost: type[BrokerLost] = BrokerLost  # and of which kind that is
        self._unacknowledged: dict[int, Letter] = {}
        self._unwritten: tuple[Letter, MQTTMessageInfo] | None = None
        self._client = self._new_client(client_id, will)
        self.topics: set[str] = set()  # subscribed to

    def open(self) -> None:
        """Connect and be welcomed. Raises `BrokerLost`, or one of its kinds above, saying why."""
        keepalive_s = max(1, round(SILENCE * self._broker.keepalive_s))
        session: dict[str, Any] = {"clean_start": True, "properties": of_session()} if self.version == "5" else {}
        try:
            self._client.connect(self._broker.host, self._broker.port, keepalive_s, **session)
        except (OSError, ValueError) as exc:
            lost = Refused if isinstance(exc, ssl.SSLError) and not isinstance(exc, ssl.SSLEOFError) else BrokerLost
            raise lost(f"{self._where}: {_reason(exc)}{self._hint(exc)}") from exc
        end_s = time.monotonic() + ANSWER_S
        while self._answer is None and self._end is None and time.monotonic() < end_s:
            self._turn(0.1, None)
        self._judge()

    def send(self, letter: Letter) -> None:
        """Hand over one message, when `ready`; `on_settled` tells what became of it."""
        if not self._terms.admit(letter):
            self._on_settled(letter, Refusal(reason="Packet too large", for_good=True))
            return
        channel, topic, properties = letter.channel, letter.topic, None
        if self.version == "5":
            topic, alias = self._aliases.shorten(letter)
            properties = of_letter(letter, alias)
        info = self._client.publish(topic, letter.payload, channel.qos, channel.retain, properties)
        if channel.qos:
            self._progress_s = self._progress_s if self._unacknowledged else time.monotonic()
            self._unacknowledged[info.mid] = letter
        else:
            self._unwritten = (letter, info)
            self._book_written()

    def subscribe(self, topic: str) -> None:
        """With MQTT 5 a message that its sender has the broker keep is known as such when it is sent, too."""
        self.topics.add(topic)
        as_sent = {"options": SubscribeOptions(qos=1, retainAsPublished=True)} if self.version == "5" else {"qos": 1}
        self._asked[self._client.subscribe(topic, **as_sent)[1]] = topic

    @property
    def ready(self) -> bool:
        """Whether one more message may be sent now; no when the broker does not read or acknowledge."""
        room = len(self._unacknowledged) < self._terms.unacknowledged
        return self._end is None and self._unwritten is None and room

    @property
    def unsettled(self) -> list[Letter]:
        """Messages handed over of which nothing is known, in order."""
        return [*self._unacknowledged.values(), *([self._unwritten[0]] if self._unwritten else [])]

    def turn(self, timeout_s: float, wake: socket.socket | None = None) -> None:
        """Read, write and keep alive, for at most this long or until `wake` is readable. Raises `BrokerLost`."""
        if self._end is None:
            self._turn(timeout_s, wake)
            self._book_written()
            self._judge_silence()
        if self._end is not None:
            raise self._lost(f"{self._where}: {self._end}")

    def close(self) -> None:
        """Say goodbye, so that the broker does not send the last will."""
        self._client.disconnect()
        end_s = time.monotonic() + GOODBYE_S
        while self._client.socket() is not None and time.monotonic() < end_s:
            self._turn(0.02, None)
        self.abandon()

    def abandon(self) -> None:
        """Drop the connection without a word."""
        sock = self._client.socket()
        if sock is not None:
            with suppress(OSError):
                sock.close()

    @property
    def _where(self) -> str:
        return f"broker {self._broker.host}:{self._broker.port}"

    def _new_client(self, client_id: str, will: Letter | None) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=VERSIONS[self.version], reconnect_on_failure=False
        )
        client.on_socket_open = _no_delay
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_publish = self._acknowledged
        client.on_subscribe = self._subscribed
        client.on_message = self._received
        if self._broker.username:
            client.username_pw_set(self._broker.username, self._broker.password.get_secret_value() or None)
        if self._broker.tls.enabled:
            client.tls_set_context(tls_context(self._broker.tls))
        if will is not None:
            properties = of_will(will) if self.version == "5" else None
            client.will_set(will.topic, will.payload, will.channel.qos, will.channel.retain, properties)
        return client

    def _connected(
        self, client: Client, userdata: object, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self._answer = reason
        self._terms = terms(properties)
        self._aliases = Aliases(self._terms.aliases)

    def _disconnected(
        self,
        client: Client,
        userdata: object,
        flags: DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        told = flags.is_disconnect_packet_from_server or reason.getName() == "Keep alive timeout"
        self._end = self._end or (f"ended by the broker: {reason}" if told else "connection lost")
        if told and reason.getName() not in LEFT_TO_ITSELF:
            self._lost = Refused

    def _acknowledged(
        self, client: Client, userdata: object, mid: int, reason: ReasonCode, properties: Properties | None
    ) -> None:
        letter = self._unacknowledged.pop(mid, None)
        self._progress_s = time.monotonic()
        if letter is not None:
            name = reason.getName()
            self._on_settled(letter, Refusal(reason=name, for_good=name in PERMANENT) if reason.is_failure else None)

    def _subscribed(
        self, client: Client, userdata: object, mid: int, reasons: list[ReasonCode], properties: Properties | None
    ) -> None:
        topic = self._asked.pop(mid, None)
        if topic is not None and reasons[0].is_failure:
            self._on_deaf(topic, Refusal(reason=reasons[0].getName()))

    def _received(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        properties = message.properties
        self._on_message(
            Message(
                topic=message.topic,
                payload=bytes(message.payload),
                retain=message.retain,
                response_topic=getattr(properties, "ResponseTopic", None),
                correlation=getattr(properties, "CorrelationData", None),
                content=getattr(properties, "ContentType", None),
            )
        )

    def _hint(self, exc: Exception) -> str:
        """What answers a TLS greeting with anything but a certificate is no TLS port."""
        greeted = isinstance(exc, ConnectionResetError | ssl.SSLError)
        if not self._broker.tls.enabled or not greeted or isinstance(exc, ssl.SSLCertVerificationError):
            return ""
        return f"; is {self._broker.port} its port for TLS? 8883 is usual"

    def _judge(self) -> None:
        if self._answer is None:
            tls = self._broker.tls
            did = "hung up on" if self._end else f"was silent for {ANSWER_S:g} s after"
            wants = (
                "TLS, see mqtt.tls" if not tls.enabled else "a certificate, see mqtt.tls.cert" if not tls.cert else ""
            )
            hint = f"; it may want {wants}" if wants else ""
            raise Unheard(f"{self._where}: {did} our MQTT {self.version} greeting{hint}")
        if self._answer.getName() == "Unsupported protocol version":
            raise RefusedVersion(f"{self._where}: does not speak MQTT {self.version}")
        if self._answer.is_failure:
            raise Refused(f"{self._where}: refused: {self._answer}; check mqtt.username and its password")

    def _turn(self, timeout_s: float, wake: socket.socket | None) -> None:
        sock = self._client.socket()
        if sock is None:
            self._end = self._end or "connection lost"
            return
        decrypted = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0  # read already, poll does not see it
        ready = _wait(sock, self._client.want_write(), wake, 0 if decrypted else timeout_s)
        if wake is not None and wake.fileno() in ready:
            wake.recv(4096)
        events = ready.get(sock.fileno(), 0)
        if decrypted or events & ~select.POLLOUT:
            self._client.loop_read()
        if events & select.POLLOUT:
            self._client.loop_write()
        self._client.loop_misc()

    def _book_written(self) -> None:
        if self._unwritten is not None:
            letter, info = self._unwritten
            if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS and info.is_published():
                self._unwritten = None
                self._on_settled(letter, None)

    def _judge_silence(self) -> None:
        """A broker may answer every ping and still acknowledge nothing."""
        silent_s = time.monotonic() - self._progress_s
        if self._unacknowledged and silent_s > self._broker.keepalive_s:
            self._end = self._end or f"nothing acknowledged for {silent_s:.0f} s"


def tls_context(tls: Tls) -> ssl.SSLContext:
    """Raises ConfigError naming the file that cannot be used."""
    try:
        context = ssl.create_default_context(cafile=tls.ca)
    except OSError as exc:
        raise ConfigError(f"mqtt.tls.ca = {tls.ca}: {_reason(exc)}; want a PEM file this user can read") from exc
    if tls.cert is not None and tls.key is not None:
        try:
            context.load_cert_chain(tls.cert, tls.key, password="")
        except OSError as exc:
            raise ConfigError(
                f"mqtt.tls.cert = {tls.cert}, key = {tls.key}: {_reason(exc)}; "
                "want a PEM pair that belongs together, without a pass phrase, that this user can read"
            ) from exc
    return context


def _wait(sock: SocketLike, writing: bool, wake: socket.socket | None, timeout_s: float) -> dict[int, int]:
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN | (select.POLLOUT if writing else 0))
    if wake is not None:
        poll.register(wake.fileno(), select.POLLIN)
    return dict(poll.poll(timeout_s * MS_PER_S))


def _no_delay(client: Client, userdata: object, sock: SocketLike) -> None:
    """Small messages leave at once."""
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _reason(exc: Exception) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {exc.verify_message}"
    return str(getattr(exc, "strerror", None) or exc)
