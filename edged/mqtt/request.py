"""One message to a broker and what comes back: a command to a device (`edged send`), an echo (`edged doctor`).

Downstream: `connection`. Everything happens in the caller's thread. A response is recognised by an id in its body, so
that MQTT 3.1.1 does as well as 5.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from edged.config.tables.mqtt import MqttConfig
from edged.errors import BrokerLost
from edged.messages.build import encode, new_id
from edged.messages.topics import COMMAND, RESULT, TopicSpec
from edged.mqtt.connection import IncomingMessage, MqttConnection, ProtocolNegotiator, Refusal
from edged.mqtt.send_queue import OutgoingMessage
from edged.units import MS_PER_S

POLL_S = 0.05
CHECK_TIMEOUT_S = 3.0
DOCTOR_SPEC = TopicSpec(name="doctor", path="doctor", summary="What `edged doctor` sends to itself.")

T = TypeVar("T")


class ResponseTimeout(BrokerLost):
    """The broker accepted the command, and no response came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerCheck:
    """What became of a message that we sent to ourselves."""

    version: str  # of MQTT
    topic: str
    acknowledged: bool | None  # None: no answer
    round_trip_ms: float | None  # None: it did not come back


def request(
    broker: MqttConfig, device: str, verb: str, arguments: Mapping[str, Any], timeout_s: float
) -> dict[str, Any]:
    """The response to a command. Raises ResponseTimeout, or BrokerLost without a connection or a right."""
    root, request_id = f"{broker.base}/{device}/", new_id()
    message = OutgoingMessage(
        topic=root + COMMAND.at(verb=verb).path,
        payload=encode({**arguments, "id": request_id}),
        spec=COMMAND,
        queued_ns=time.monotonic_ns(),
    )

    def attempt(version: str) -> dict[str, Any]:
        one_shot = _OneShot(broker, version)
        one_shot.run(
            message,
            root + RESULT.at(verb=verb).path,
            lambda: one_shot.refusal is not None or one_shot.response(request_id) is not None,
            timeout_s,
        )
        response = one_shot.response(request_id)
        if one_shot.refusal is not None:
            raise one_shot.refusal
        if response is None:
            raise ResponseTimeout(
                f"{message.topic}: no answer within {timeout_s:g} s; is the device online, is its name right, "
                "and does its commands.allow list anything at all?"
            )
        return response

    return _negotiated(broker, attempt)


def check_broker(broker: MqttConfig, device: str) -> BrokerCheck:
    """What becomes of one message to ourselves, not retained. Raises BrokerLost without a stable connection."""
    topic = f"{broker.base}/{device}/{DOCTOR_SPEC.path}"
    message = OutgoingMessage(topic=topic, payload=b"{}", spec=DOCTOR_SPEC)

    def attempt(version: str) -> BrokerCheck:
        echo = _OneShot(broker, version, f"{device}-doctor")
        sent_s = echo.run(
            message,
            topic,
            lambda: echo.acknowledged is False or bool(echo.acknowledged and echo.arrivals),
            CHECK_TIMEOUT_S,
        )
        round_trip_ms = (echo.arrivals[-1][0] - sent_s) * MS_PER_S if echo.arrivals else None
        return BrokerCheck(version=version, topic=topic, acknowledged=echo.acknowledged, round_trip_ms=round_trip_ms)

    return _negotiated(broker, attempt)


def _negotiated(broker: MqttConfig, attempt: Callable[[str], T]) -> T:
    """The result of `attempt` with the first MQTT version that the broker speaks."""
    versions = ProtocolNegotiator(broker.protocol)
    while True:
        try:
            return attempt(versions.current)
        except BrokerLost as error:
            if not versions.try_next(error):
                raise


class _OneShot:
    """One connection, one subscription, one message."""

    def __init__(self, broker: MqttConfig, version: str, client_id: str = "") -> None:
        self.acknowledged: bool | None = None  # None: no answer yet
        self.refusal: BrokerLost | None = None  # of the message, or of the subscription
        self.arrivals: list[tuple[float, IncomingMessage]] = []  # CLOCK_MONOTONIC in s, and the message
        self._connection = MqttConnection(
            broker,
            version,
            client_id=client_id,
            on_result=self._on_result,
            on_message=lambda message: self.arrivals.append((time.monotonic(), message)),
            on_subscribe_refused=lambda topic, refusal: self._refuse(topic, refusal, "read"),
        )

    def run(self, message: OutgoingMessage, topic: str, done: Callable[[], bool], timeout_s: float) -> float:
        """Subscribe to `topic`, send, and wait until `done`. Returns when it was sent, CLOCK_MONOTONIC in s."""
        try:
            self._connection.open()
            self._connection.subscribe(topic)
            sent_s = time.monotonic()
            self._connection.send(message)
            while not done() and time.monotonic() - sent_s < timeout_s:
                self._connection.poll(POLL_S)
            self._connection.close()
        finally:
            self._connection.abandon()
        return sent_s

    def response(self, request_id: str) -> dict[str, Any] | None:
        """The JSON object with this id that arrived; None: none did."""
        for _, message in self.arrivals:
            try:
                body = json.loads(message.payload)
            except ValueError:
                continue
            if isinstance(body, dict) and body.get("id") == request_id:
                return body
        return None

    def _on_result(self, message: OutgoingMessage, refusal: Refusal | None) -> None:
        self.acknowledged = refusal is None
        if refusal is not None:
            self._refuse(message.topic, refusal, "write")

    def _refuse(self, topic: str, refusal: Refusal, right: str) -> None:
        text = f"{topic}: the broker refused it: {refusal.reason}; we need the right to {right} there"
        self.refusal = BrokerLost(text, refusal.code)
