"""The bus on MQTT: one thread that connects, reconnects, and sends from two queues.

Upstream: `publish`, from any thread, never waits. Downstream: `connection`. Without a broker the loop runs on.
It publishes the device's status itself: `online` on every connect, `stopped` on close, `offline` as the last will.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from edged.config.tables.mqtt import MqttConfig, PublishConfig
from edged.errors import BrokerLost, ConfigError
from edged.messages import topics
from edged.messages.build import Body, DeviceStatus
from edged.messages.bus import Request
from edged.messages.topics import Topic
from edged.mqtt.connect_errors import address
from edged.mqtt.connection import MqttConnection, Refusal, SessionTakenOver
from edged.mqtt.delivery import Delivery
from edged.mqtt.duplicate_id import OTHER_ID, REPEATED_AFTER, DuplicateId, DuplicateIdDetector, RepeatedDisconnect
from edged.mqtt.held_messages import SendResult
from edged.mqtt.incoming import IncomingMessage
from edged.mqtt.message_factory import MessageFactory
from edged.mqtt.message_limits import NO_RETAIN, QOS_0_ONLY
from edged.mqtt.negotiation import ConnectionRefused, GreetingDoubted, Negotiator, NoConnack
from edged.mqtt.nodes import Nodes
from edged.mqtt.packet_limit import DEVICE_PACKET_BYTES
from edged.mqtt.persistent_queue import PersistentQueue
from edged.mqtt.retained_check import RetainedCheck
from edged.mqtt.send_queue import DeliveryCounts, OutgoingMessage, SendQueue
from edged.mqtt.sqlite_queue import QueueLimits
from edged.mqtt.subscriptions import Subscriptions
from edged.mqtt.tls import check_tls
from edged.mqtt.wake import Wake
from edged.runtime.backoff import Backoff
from edged.runtime.clock import Clock
from edged.runtime.threads import SupervisedThread
from edged.units import BYTES_PER_MB, MS_PER_DAY

log = logging.getLogger(__name__)

FLUSH_S = 0.5  # at close: to send what waits, and as long again for the status `stopped`
CLOSE_TIMEOUT_S = 2.0  # of the thread at close, both included
CLOSE_OFFLINE_TIMEOUT_S = 0.3  # the same without a connection
RECONNECT_MAX_S = 3.0  # longest wait between attempts at one node; a broker that returns is to be found within 5 s
STABLE_AFTER_S = 30.0  # a connection that lasted this long resets the waits
DUPLICATE_ID_MAX_S = 180.0  # longest wait while another device may have our id: two take turns 50 times an hour
POLL_S = 1.0  # between checks of the keep-alive


class MqttBus:
    """Publishes below `<base>/<device>/`. The device id is also the client id."""

    def __init__(
        self,
        broker: MqttConfig,
        device: str,
        make_status: Callable[[DeviceStatus], Mapping[str, Any]],
        options: PublishConfig,
        store_path: Path | None = None,
    ) -> None:
        """`make_status` makes a `status` message. `store_path` is the file of the persistent queue; None: in memory.

        Raises ConfigError when the TLS files cannot be used.
        """
        check_tls(broker)
        self._next_broker = broker
        self._device = device
        self._root = f"{broker.base_topic}/{device}/"
        self._message = MessageFactory(self._root, options.encoding)
        self._reset_for(broker)
        self._subscriptions = Subscriptions(self._root)
        self._retained_check = RetainedCheck(
            self._message.full(topics.COMMAND.at(command="+")), self._subscriptions.deliver
        )
        self._make_status = make_status
        self._send_queue = SendQueue(options.queue_size)
        self._connection: MqttConnection | None = None  # while connected
        self._connects = 0
        self._reason = ""  # why there is no connection
        self._wake_up = Wake()
        max_age_ms = round(options.store_max_days * MS_PER_DAY)
        max_bytes, clock = options.store_max_mb * BYTES_PER_MB, Clock()
        limits = QueueLimits(max_bytes=max_bytes, max_age_ms=max_age_ms, clock_synced=lambda: clock.synced)
        self._persistent = PersistentQueue(store_path, limits, self._message, self._wake_up)
        self._thread = SupervisedThread("mqtt", self._step)
        self._thread.start()

    def publish(
        self,
        topic: Topic,
        message: Mapping[str, Any] | bytes,
        *,
        correlation: bytes | None = None,
        on_published: Callable[[], None] | None = None,
    ) -> None:
        """Raises ValueError for what is not JSON. Thread: any."""
        if topic.spec.store_priority is not None:
            self._persistent.put(self._message.absolute(topic), {} if isinstance(message, bytes) else message)
        else:
            self._send_queue.put(self._message(topic, message, correlation, on_published))
            self._wake_up()

    def subscribe(self, topic: Topic, callback: Callable[[Request], None], *, optional: bool = False) -> None:
        """`callback` runs in the MQTT thread, must return at once, and may raise. Thread: any."""
        self._subscriptions.add(self._message.full(topic), callback, optional=optional)
        self._wake_up()

    def call(self, function: Callable[[], None]) -> None:
        """Have a thread call it that may wait for the disk. Thread: any."""
        self._persistent.call(function)

    def switch_broker(self, broker: MqttConfig) -> None:
        """Disconnect, and connect to this broker, or to the same one by other settings; `base` must not change.

        Raises ConfigError when the TLS files cannot be used; nothing changes then. Thread: any.
        """
        check_tls(broker)
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
        connection = self._connection
        return {
            "connected": connection is not None,
            "protocol": connection.version if connection else None,
            "reconnects": max(0, self._connects - 1),
            **asdict(self.counts),
            "reason": "" if connection else self._reason,
            "short_connections": self._duplicates.short_connections,
            "other_device": self._duplicates.other_device,
            **self._delivery.stats,
            "stored": self._persistent.stats,
        }

    @property
    def broker_certificate_end_s(self) -> float | None:
        connection = self._connection
        return connection.certificate_end_s if connection else None

    def close(self) -> None:
        """Send what waits, then the status `stopped`, within a second in all, and disconnect."""
        self._thread.stop()
        self._wake_up()
        self._thread.join(CLOSE_TIMEOUT_S if self.connected else CLOSE_OFFLINE_TIMEOUT_S)
        self._send_queue.close()
        self._persistent.close()
        if self._thread.is_alive():
            log.warning("%s: still connecting; its thread is abandoned", address(self._nodes.current))
            return
        self._wake_up.close()

    def _status_message(self, state: DeviceStatus) -> OutgoingMessage:
        return self._message(topics.STATUS.at(), self._make_status(state))

    def _step(self) -> float:
        """One connection, from its begin to its end. Returns the wait before the next, in s."""
        if self._broker is not self._next_broker:
            self._reset_for(self._next_broker)
        backoff, connects = self._refused_backoff, self._connects
        try:
            self._connect_and_serve()
        except (BrokerLost, ConfigError) as error:
            if self._negotiator.lower_greeting(error):
                return 0.0
            backoff = self._on_connection_lost(error, was_connected=self._connects > connects)
        return backoff.next_s()

    def _reset_for(self, broker: MqttConfig) -> None:
        """Forget what was learned of the broker before."""
        self._broker, self._nodes = broker, Nodes(broker)
        self._negotiator = Negotiator(broker.protocol)
        client = f"user {broker.username}" if broker.username else f"client {self._device}"
        self._delivery = Delivery(client, self._root, self._on_result, lambda: self._persistent.verified())  # noqa: PLW0108  made later
        self._duplicates = DuplicateIdDetector()
        self._reconnect_backoff = self._nodes.backoff(min(RECONNECT_MAX_S, broker.reconnect_max_s))
        self._refused_backoff = self._nodes.backoff(broker.reconnect_max_s)
        self._duplicate_backoff = Backoff(max(DUPLICATE_ID_MAX_S, broker.reconnect_max_s))
        self._logged_error: type[Exception] | None = None  # kind of the error that was logged and still lasts

    def _connect_and_serve(self) -> None:
        connection = MqttConnection(
            self._nodes.current,
            self._negotiator.current,
            client_id=self._device,
            will=self._status_message("offline"),
            greeting=self._negotiator.greeting,
            max_packet_bytes=DEVICE_PACKET_BYTES,
            on_result=self._delivery.on_result,
            on_message=self._received,
            on_subscribed=self._on_subscribed,
        )
        try:
            connection.open()
            self._confirm_greeting(connection)
            self._on_connected(connection)
            self._serve(connection)
            self._disconnect(connection)
        finally:
            if self._connection is not None:
                self._on_disconnected(connection)
            connection.abandon()
            if self._thread.stopping.is_set():  # `close` may not wait for this thread any more
                self._wake_up.close()

    def _confirm_greeting(self, connection: MqttConnection) -> None:
        """Raises GreetingDoubted, disconnected, when the broker is to be asked for all of it once more."""
        try:
            self._negotiator.confirm()
        except GreetingDoubted:
            connection.close()
            raise

    def _on_disconnected(self, connection: MqttConnection) -> None:
        self._connection = None
        self._negotiator.disconnected()
        if self._delivery.end(connection):
            self._duplicates.not_short()
        else:
            self._delivery.forget_limits()
            if connection.explained:
                self._duplicates.explained()
        for topic in connection.unanswered_subscriptions:  # some brokers end the connection instead of an answer
            self._subscriptions.give_up(topic, "the connection ended")
        self._persistent.disconnected()
        self._retained_check.disconnected()
        self._send_queue.requeue(message for message in connection.in_flight if message.store_id is None)

    def _on_connected(self, connection: MqttConnection) -> None:
        self._connects += 1
        self._duplicates.connected()
        self._delivery.begin(connection)
        if not self._repeated:
            self._log_connected(connection)
        self._send_queue.requeue_retained()
        self._send_queue.put(self._status_message("online"))
        self._persistent.connected()
        if self._connects > 1:
            connection.subscribe(self._root + topics.INFO.path, as_published=False)
        if not self._duplicates.repeated:
            self._reconnect_backoff.reset()
        self._connection = connection

    @property
    def _repeated(self) -> bool:
        """Whether it is logged that connections do not last."""
        return self._logged_error is not None and issubclass(self._logged_error, RepeatedDisconnect)

    def _log_connected(self, connection: MqttConnection) -> None:
        again = "again " if self._logged_error and self._connects > 1 else ""
        self._logged_error = None
        name = address(self._nodes.current)
        log.info("%s: connected %swith MQTT %s", name, again, connection.version)
        if not connection.limits.retain:
            log.warning("%s: %s", name, NO_RETAIN)
        if connection.limits.max_qos == 0:
            log.warning("%s: %s", name, QOS_0_ONLY)

    def _serve(self, connection: MqttConnection) -> None:
        since_s = time.monotonic()
        while not self._thread.stopping.is_set() and self._broker is self._next_broker:
            self._subscribe(connection)
            self._send_waiting(connection)
            connection.poll(POLL_S, self._wake_up.receiver)
            self._thread.progress()
            self._send_queue.requeue_retained(self._delivery.check())
            self._retained_check.check()
            if time.monotonic() - since_s > STABLE_AFTER_S:
                self._on_stable(connection)

    def _on_stable(self, connection: MqttConnection) -> None:
        self._refused_backoff.reset()
        self._reconnect_backoff.reset()
        self._duplicates.lasted()
        if self._duplicates.other_device is None:
            self._duplicate_backoff.reset()
        if self._repeated:
            self._log_connected(connection)

    def _disconnect(self, connection: MqttConnection) -> None:
        self._flush(connection)
        self._send_queue.put(self._status_message("stopped"))
        self._flush(connection)
        connection.close()

    def _flush(self, connection: MqttConnection) -> None:
        end_s = time.monotonic() + FLUSH_S
        while (self._send_queue.counts.waiting or not self._persistent.idle) and time.monotonic() < end_s:
            self._send_waiting(connection)
            connection.poll(0.02, self._wake_up.receiver)

    def _send_waiting(self, connection: MqttConnection) -> None:
        while connection.ready and (message := self._next_message()) is not None:
            if message.spec is topics.INFO:
                self._duplicates.sent_info(message.payload, arrived=False)
            self._delivery.send(connection, message)

    def _next_message(self) -> OutgoingMessage | None:
        """The persistent queue goes first: it hands out few at a time, so that live messages have their turn."""
        stored = self._persistent.get()
        if stored is not None and stored.spec.retain:
            self._send_queue.supersede(stored.topic)
        return stored or self._send_queue.get(time.monotonic_ns())

    def _subscribe(self, connection: MqttConnection) -> None:
        for topic in self._subscriptions.topics - connection.subscribed - self._delivery.refused_subscriptions:
            connection.subscribe(topic)

    def _received(self, message: IncomingMessage) -> None:
        self._delivery.arrived(message)
        if message.retain and message.topic == self._root + topics.INFO.path:
            self._duplicates.found_info(message.payload)
        if self._connection is not None:
            self._retained_check.arrived(self._connection, message)

    def _on_subscribed(self, topic: str, refusal: Refusal | None) -> None:
        if refusal is None or not self._subscriptions.give_up(topic, refusal.reason):
            self._delivery.on_subscribed(topic, refusal)

    def _on_result(self, message: OutgoingMessage, result: SendResult) -> None:
        if message.spec is topics.INFO and result == "published":
            self._duplicates.sent_info(message.payload, arrived=True)
        if message.store_id is None:
            self._send_queue.done(message, published=result == "published")
            if result == "published" and message.on_published is not None:
                self.call(message.on_published)
            return
        self._persistent.done(message.store_id, result)
        if result == "published" and message.spec.retain and message.payload:
            self._send_queue.remember_retained(replace(message, store_id=None))

    def _on_connection_lost(self, error: Exception, *, was_connected: bool) -> Backoff:
        """Log the error if it is a new one. Returns the waits that suit it."""
        if isinstance(error, NoConnack) and self._negotiator.worked:
            error = NoConnack(f"{error.text}; it may be starting", "starting", closed=error.closed)
        self._reason = str(error)
        if not was_connected:
            self._delivery.forget_limits()
        if not was_connected and not isinstance(error, NoConnack):
            self._negotiator.disconnected()
        if was_connected and (self._duplicates.repeated or isinstance(error, SessionTakenOver)):
            error = self._repeated_disconnect(error)
        self._take_next(error)
        if isinstance(error, ConnectionRefused | ConfigError):
            return self._refused_backoff
        return self._duplicate_backoff if isinstance(error, RepeatedDisconnect) else self._reconnect_backoff

    def _repeated_disconnect(self, error: Exception) -> RepeatedDisconnect:
        """The error of a connection that ended soon, as those before."""
        other = self._duplicates.other_device
        if other is not None or isinstance(error, SessionTakenOver):
            named = f" ({other})" if other else ""
            return DuplicateId(f"{error}: another device has device.id {self._device} too{named}; {OTHER_ID}")
        text = f"{error}; soon after connecting, for the {REPEATED_AFTER}th time in a row"
        if self._duplicates.short_connections:
            text += f": the network is bad, or another device has device.id {self._device} too"
        return RepeatedDisconnect(text)

    def _take_next(self, error: Exception) -> None:
        """Try the other MQTT version next, else the next node; one error of a kind is logged until it is over."""
        if self._negotiator.try_next(error):
            log.debug("%s; trying MQTT %s", str(error), self._negotiator.current)
            return
        self._nodes.advance()
        if self._logged_error is not type(error):
            self._logged_error = type(error)
            log.warning("%s; publishing waits, everything else goes on", str(error))  # a record keeps no socket
