"""The bus on MQTT: one thread that connects, reconnects, and empties the outbox and the store.

Upstream `publish`, from any thread, never blocking; downstream `mqtt_link`. A dead broker costs the loop nothing.
The bus says by itself whether the box is there: online on every connect, stopped on close, offline as its will.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from edged.config.tables.mqtt import MqttConfig, PublishConfig
from edged.errors import BrokerLost, ConfigError
from edged.messages import cbor, topics
from edged.messages.build import Body, DeviceStatus, encode
from edged.messages.bus import Request
from edged.messages.topics import Topic, matches
from edged.mqtt.connection import (
    ConnectionRefused,
    IncomingMessage,
    MqttConnection,
    ProtocolNegotiator,
    Refusal,
    tls_context,
)
from edged.mqtt.persistent_queue import Outcome, PersistentQueue
from edged.mqtt.send_queue import CBOR, JPEG, JSON, DeliveryCounts, OutgoingMessage, SendQueue
from edged.mqtt.sqlite_queue import QueueLimits
from edged.runtime.backoff import Backoff
from edged.runtime.threads import SupervisedThread
from edged.units import BYTES_PER_MB, MS_PER_DAY

log = logging.getLogger(__name__)

FLUSH_S = 0.5  # at close, for what waits, and as long again for `stopped`
CLOSE_TIMEOUT_S = 2.0  # longest wait for the connection at close, both included
CLOSE_OFFLINE_TIMEOUT_S = 0.3  # the same where there is no connection
RECONNECT_MAX_S = (
    3.0  # longest wait for a broker that is away: looking for it costs one packet, and it is to be found in 5 s
)
STABLE_AFTER_S = 30.0  # a connection that lived so long starts the waits small again
REPEATED_AFTER = 4  # connections in a row that did not live so long: they are being cut off
POLL_S = 1.0  # between looks at the keep-alive


class RepeatedDisconnect(BrokerLost):
    """Let in, and cut off soon after, again and again."""


class MqttBus:
    """Publishes below `<base>/<device>/`. The device id is the client id too."""

    def __init__(
        self,
        broker: MqttConfig,
        device: str,
        make_status: Callable[[DeviceStatus], Mapping[str, Any]],
        options: PublishConfig,
        store_path: Path | None = None,
    ) -> None:
        """`make_status` makes a `status` message; `store_path` is the file of what must survive, None: it does not.

        Raises ConfigError when the TLS files cannot be used.
        """
        self._use_cbor = options.encoding == "cbor"
        if self._use_cbor:
            cbor.require_cbor2()
        _check_tls(broker)
        self._next_broker = broker
        self._reset_for(broker)
        self._device = device
        self._root = f"{broker.base}/{device}/"
        self._make_status = make_status
        self._send_queue = SendQueue(options.queue)
        self._connection: MqttConnection | None = None  # while connected
        self._callbacks: dict[str, Callable[[Request], None]] = {}  # by whole topic, wildcards and all
        self._connects = 0
        self._short_connections = 0  # connections in a row that did not last
        self._refused = 0
        self._wake_sender, self._wake_receiver = socket.socketpair()
        self._wake_sender.setblocking(False)
        bounds = QueueLimits(max_bytes=options.keep_mb * BYTES_PER_MB, max_age_ms=round(options.keep_days * MS_PER_DAY))
        self._persistent = PersistentQueue(store_path, bounds, self._message, self._wake_up)
        self._thread = SupervisedThread("mqtt", self._step)
        self._thread.start()

    def publish(self, topic: Topic, message: Mapping[str, Any] | bytes, *, correlation: bytes | None = None) -> None:
        if topic.spec.store_priority is not None and not isinstance(message, bytes):
            self._persistent.put(topic, message)
        else:
            self._send_queue.put(self._message(topic, message, correlation))
            self._wake_up()

    def subscribe(self, topic: Topic, callback: Callable[[Request], None]) -> None:
        self._callbacks[self._full_topic(topic)] = callback
        self._wake_up()

    def switch_broker(self, broker: MqttConfig) -> None:
        """Take leave, and go on at this broker, or at the same in this way. `base` is to stay as it is. Any thread.

        Raises ConfigError when the TLS files cannot be used; then all is as it was.
        """
        _check_tls(broker)
        self._next_broker = broker
        self._thread.wake()
        self._wake_up()

    @property
    def counts(self) -> DeliveryCounts:
        return self._send_queue.counts + self._persistent.counts

    @property
    def connected(self) -> bool:
        return self._connection is not None

    @property
    def stats(self) -> Body:
        """For `health`."""
        link = self._connection
        return {
            "connected": link is not None,
            "protocol": link.version if link else None,
            "reconnects": max(0, self._connects - 1),
            **asdict(self.counts),
            "refused": self._refused,
            "stored": self._persistent.stats,
        }

    def close(self) -> None:
        """Send what waits and `stopped`, within a second, and leave."""
        self._thread.stop()
        self._wake_up()
        self._thread.join(CLOSE_TIMEOUT_S if self.connected else CLOSE_OFFLINE_TIMEOUT_S)
        self._send_queue.close()
        self._persistent.close()
        if self._thread.is_alive():
            log.warning("broker %s:%d: left behind in the middle of connecting", self._broker.host, self._broker.port)
            return
        self._wake_sender.close()
        self._wake_receiver.close()

    def _wake_up(self) -> None:
        with suppress(OSError):  # full of wake-ups already, or closed
            self._wake_sender.send(b"\0")

    def _full_topic(self, topic: Topic) -> str:
        return topic.path[1:] if topic.path.startswith("/") else self._root + topic.path

    def _message(
        self, topic: Topic, message: Mapping[str, Any] | bytes, correlation: bytes | None = None
    ) -> OutgoingMessage:
        payload, content = self._encode(topic, message)
        return OutgoingMessage(
            topic=self._full_topic(topic),
            payload=payload,
            spec=topic.spec,
            content_type=content,
            correlation=correlation,
            queued_ns=time.monotonic_ns(),
        )

    def _encode(self, topic: Topic, message: Mapping[str, Any] | bytes) -> tuple[bytes, str]:
        """A payload and its content type."""
        if isinstance(message, bytes):
            return message, JPEG
        if topic.spec is topics.POSES and self._use_cbor:
            return cbor.pack(message), CBOR
        return encode(message), JSON

    def _status_message(self, state: DeviceStatus) -> OutgoingMessage:
        return self._message(topics.STATUS.at(), self._make_status(state))

    def _step(self) -> float:
        """One connection from its begin to its end; the wait before the next."""
        if self._broker is not self._next_broker:
            self._reset_for(self._next_broker)
        backoff, connects = self._refused_backoff, self._connects
        try:
            self._connect_and_serve()
        except (BrokerLost, ConfigError) as lost:
            backoff = self._on_connection_lost(lost, was_connected=self._connects > connects)
        return backoff.next_s()

    def _reset_for(self, broker: MqttConfig) -> None:
        """Nothing is known of this broker yet."""
        self._broker = broker
        self._versions = ProtocolNegotiator(broker.protocol)
        self._reconnect_backoff = Backoff(min(RECONNECT_MAX_S, broker.reconnect_max_s))
        self._refused_backoff = Backoff(broker.reconnect_max_s)
        self._logged_error: type[Exception] | None = None  # logged, and not yet over
        self._refused_topics: set[str] = set()  # topics refused, and logged

    def _connect_and_serve(self) -> None:
        link = MqttConnection(
            self._broker,
            self._versions.current,
            client_id=self._device,
            will=self._status_message("offline"),
            on_result=self._on_result,
            on_message=self._received,
            on_subscribe_refused=self._on_refused,
        )
        try:
            link.open()
            self._on_connected(link)
            self._serve(link)
            self._disconnect(link)
        finally:
            self._connection = None
            self._persistent.disconnected()
            self._send_queue.requeue(letter for letter in link.in_flight if letter.store_id is None)
            link.abandon()

    def _on_connected(self, link: MqttConnection) -> None:
        self._connects += 1
        self._short_connections += 1
        self._versions.confirm()
        if self._logged_error is not RepeatedDisconnect:
            self._log_connected(link.version)
        self._send_queue.requeue_retained()
        self._send_queue.put(self._status_message("online"))
        self._persistent.connected()
        if self._short_connections < REPEATED_AFTER:
            self._reconnect_backoff.reset()
        self._connection = link

    def _log_connected(self, version: str) -> None:
        again = "again " if self._logged_error and self._connects > 1 else ""
        self._logged_error = None
        log.info("broker %s:%d: connected %swith MQTT %s", self._broker.host, self._broker.port, again, version)

    def _serve(self, link: MqttConnection) -> None:
        since_s = time.monotonic()
        while not self._thread.stopping.is_set() and self._broker is self._next_broker:
            self._subscribe(link)
            self._send_waiting(link)
            link.poll(POLL_S, self._wake_receiver)
            if time.monotonic() - since_s > STABLE_AFTER_S:
                self._refused_backoff.reset()
                self._reconnect_backoff.reset()
                self._short_connections = 0
                if self._logged_error is RepeatedDisconnect:
                    self._log_connected(link.version)

    def _disconnect(self, link: MqttConnection) -> None:
        self._flush(link)
        self._send_queue.put(self._status_message("stopped"))
        self._flush(link)
        link.close()

    def _flush(self, link: MqttConnection) -> None:
        end_s = time.monotonic() + FLUSH_S
        while (self._send_queue.counts.waiting or not self._persistent.idle) and time.monotonic() < end_s:
            self._send_waiting(link)
            link.poll(0.02, self._wake_receiver)

    def _send_waiting(self, link: MqttConnection) -> None:
        while link.ready and (letter := self._next_message()) is not None:
            link.send(letter)

    def _next_message(self) -> OutgoingMessage | None:
        """What must survive goes first: it is paced, so that the rest gets its turn."""
        kept = self._persistent.get()
        if kept is not None and kept.spec.retain:
            self._send_queue.supersede(kept.topic)
        return kept or self._send_queue.get(time.monotonic_ns())

    def _subscribe(self, link: MqttConnection) -> None:
        for topic in self._callbacks.keys() - link.subscribed:
            link.subscribe(topic)

    def _received(self, message: IncomingMessage) -> None:
        for topic, take in list(self._callbacks.items()):
            if matches(topic, message.topic):
                self._deliver(message, take)

    def _deliver(self, message: IncomingMessage, take: Callable[[Request], None]) -> None:
        path = message.topic.removeprefix(self._root)
        request = Request(
            path=path if path != message.topic else f"/{path}",
            payload=message.payload,
            retain=message.retain,
            response_topic=message.response_topic,
            correlation=message.correlation,
            content_type=message.content_type,
        )
        try:
            take(request)
        except Exception:  # a listener's bug is not the connection's end
            log.exception("broker: a message on %s could not be taken", message.topic)

    def _on_result(self, message: OutgoingMessage, refusal: Refusal | None) -> None:
        if refusal is not None:
            self._on_refused(message.topic, refusal)
        if message.store_id is None:
            self._send_queue.done(message, published=refusal is None)
            return
        outcome: Outcome = "published" if refusal is None else "failed" if refusal.permanent else "refused"
        self._persistent.done(message.store_id, outcome)
        if outcome == "published" and message.spec.retain:
            self._send_queue.remember_retained(replace(message, store_id=None))

    def _on_refused(self, topic: str, refusal: Refusal) -> None:
        """Count every refusal, say each topic once."""
        self._refused += 1
        if topic not in self._refused_topics:
            self._refused_topics.add(topic)
            hint = (
                f"; give {self._client_name} the right to {self._root}#" if refusal.reason == "Not authorized" else ""
            )
            log.warning("broker: %s was refused: %s%s", topic, refusal.reason, hint)

    def _on_connection_lost(self, lost: Exception, *, was_connected: bool) -> Backoff:
        """Say so where that is new; return the waits that suit the reason.

        Of two clients of one id a broker keeps the newer, and hardly any tells the other.
        """
        if was_connected and self._short_connections >= REPEATED_AFTER:
            why = f"the network is bad, or another box has device.id {self._device} too"
            lost = RepeatedDisconnect(
                f"{lost}, soon after it let us in, for the {REPEATED_AFTER}th time in a row: {why}"
            )
        self._log_once(lost)
        return self._refused_backoff if isinstance(lost, ConnectionRefused | ConfigError) else self._reconnect_backoff

    def _log_once(self, lost: Exception) -> None:
        """Log once per kind of loss until it is over; try the other MQTT version first where that may be the reason."""
        if self._versions.try_next(lost):
            log.debug("%s; trying MQTT %s", lost, self._versions.current)
            return
        if self._logged_error is not type(lost):
            self._logged_error = type(lost)
            log.warning("%s; publishing waits, everything else goes on", lost)

    @property
    def _client_name(self) -> str:
        return f"user {self._broker.username}" if self._broker.username else f"client {self._device}"


def _check_tls(broker: MqttConfig) -> None:
    """Raises ConfigError when the TLS files cannot be used; warns of a password that all may read."""
    if broker.tls.enabled:
        tls_context(broker.tls)
    elif broker.username and not _is_loopback(broker.host):
        log.warning("mqtt.username and its password go to %s for all to read; enable mqtt.tls", broker.host)


def _is_loopback(host: str) -> bool:
    """Whether nothing leaves this box on the way to this host."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
