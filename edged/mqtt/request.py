"""One command to one box, and its answer. For `edged send`.

The answer is told by an id of our own, so that MQTT 3.1.1 does as well as 5.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from edged.config.tables.mqtt import MqttConfig
from edged.errors import BrokerLost
from edged.messages.build import encode, new_id
from edged.messages.topics import COMMAND, RESULT
from edged.mqtt.connection import IncomingMessage, MqttConnection, ProtocolNegotiator, Refusal
from edged.mqtt.send_queue import OutgoingMessage

POLL_S = 0.05


class ResponseTimeout(BrokerLost):
    """The broker took the command, and nothing came back."""


def request(
    broker: MqttConfig, device: str, verb: str, arguments: Mapping[str, Any], timeout_s: float
) -> dict[str, Any]:
    """The answer. Raises `BrokerLost` when there is no connection or no leave, `Unanswered` when none comes."""
    versions = ProtocolNegotiator(broker.protocol)
    while True:
        try:
            return _CommandRequest(broker, versions.current, device, verb).run(arguments, timeout_s)
        except BrokerLost as lost:
            if not versions.try_next(lost):
                raise


class _CommandRequest:
    """One connection, one command."""

    def __init__(self, broker: MqttConfig, version: str, device: str, verb: str) -> None:
        root = f"{broker.base}/{device}/"
        self._topic = root + COMMAND.at(verb=verb).path
        self._result = root + RESULT.at(verb=verb).path
        self._id = new_id()
        self._answer: dict[str, Any] | None = None
        self._refusal: str | None = None
        self._link = MqttConnection(
            broker,
            version,
            client_id="",
            on_result=self._settled,
            on_message=self._received,
            on_subscribe_refused=self._deaf,
        )

    def run(self, arguments: Mapping[str, Any], limit_s: float) -> dict[str, Any]:
        try:
            self._link.open()
            self._link.subscribe(self._result)
            payload = encode({**arguments, "id": self._id})
            letter = OutgoingMessage(topic=self._topic, payload=payload, spec=COMMAND, queued_ns=time.monotonic_ns())
            self._link.send(letter)
            end_s = time.monotonic() + limit_s
            while self._answer is None and self._refusal is None and time.monotonic() < end_s:
                self._link.poll(POLL_S)
            self._link.close()
        finally:
            self._link.abandon()
        if self._refusal is not None:
            raise BrokerLost(self._refusal)
        if self._answer is None:
            raise ResponseTimeout(
                f"{self._topic}: no answer within {limit_s:g} s; is the box online, is its name right, "
                "and does its commands.allow list anything at all?"
            )
        return self._answer

    def _settled(self, letter: OutgoingMessage, refusal: Refusal | None) -> None:
        if refusal is not None:
            self._refusal = f"{letter.topic}: the broker refused it: {refusal.reason}; we need the right to write there"

    def _deaf(self, topic: str, refusal: Refusal) -> None:
        self._refusal = f"{topic}: the broker refused it: {refusal.reason}; we need the right to read there"

    def _received(self, message: IncomingMessage) -> None:
        try:
            body = json.loads(message.payload)
        except ValueError:
            return
        if isinstance(body, dict) and body.get("id") == self._id:
            self._answer = body
