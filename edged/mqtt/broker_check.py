"""Is the broker there, does it let us in, may we publish, and does what we publish arrive? For `edged doctor`."""

from __future__ import annotations

import time
from dataclasses import dataclass

from edged.config.tables.mqtt import MqttConfig
from edged.errors import BrokerLost
from edged.messages.topics import TopicSpec
from edged.mqtt.connection import IncomingMessage, MqttConnection, ProtocolNegotiator, Refusal
from edged.mqtt.send_queue import OutgoingMessage
from edged.units import MS_PER_S

CHECK_TIMEOUT_S = 3.0
DOCTOR_SPEC = TopicSpec(name="doctor", path="doctor", summary="What `edged doctor` sends to itself.")


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerCheck:
    """What a message of ours met with."""

    version: str
    topic: str
    acknowledged: bool | None  # None: no answer
    round_trip_ms: float | None  # None: it did not come back to us


def check_broker(broker: MqttConfig, device: str) -> BrokerCheck:
    """Send one message to ourselves, not retained. Raises `BrokerLost` when there is no connection, or not for long."""
    versions, topic = ProtocolNegotiator(broker.protocol), f"{broker.base}/{device}/{DOCTOR_SPEC.path}"
    while True:
        trial = _EchoRequest(broker, versions.current, f"{device}-doctor", topic)
        try:
            return trial.run()
        except BrokerLost as lost:
            if not versions.try_next(lost):
                raise


class _EchoRequest:
    """One connection, one message."""

    def __init__(self, broker: MqttConfig, version: str, client_id: str, topic: str) -> None:
        self._topic = topic
        self._acknowledged: bool | None = None
        self._echoed_s: float | None = None
        self._link = MqttConnection(
            broker, version, client_id=client_id, on_result=self._settled, on_message=self._came_back
        )

    def run(self) -> BrokerCheck:
        try:
            self._link.open()
            self._link.subscribe(self._topic)
            sent_s = time.monotonic()
            self._link.send(OutgoingMessage(topic=self._topic, payload=b"{}", spec=DOCTOR_SPEC))
            while not self._done and time.monotonic() - sent_s < CHECK_TIMEOUT_S:
                self._link.poll(0.05)
            self._link.close()
        finally:
            self._link.abandon()
        echo_ms = None if self._echoed_s is None else (self._echoed_s - sent_s) * MS_PER_S
        return BrokerCheck(
            version=self._link.version, topic=self._topic, acknowledged=self._acknowledged, round_trip_ms=echo_ms
        )

    @property
    def _done(self) -> bool:
        return self._acknowledged is False or (self._acknowledged is True and self._echoed_s is not None)

    def _settled(self, letter: OutgoingMessage, refusal: Refusal | None) -> None:
        self._acknowledged = refusal is None

    def _came_back(self, message: IncomingMessage) -> None:
        self._echoed_s = time.monotonic()
