"""One command to one box, and its answer. For `edged send`.

The answer is told by an id of our own, so that MQTT 3.1.1 does as well as 5.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from edged.adapters.mqtt_link import Link, Message, Refusal, Versions
from edged.bus.message import encode, new_id
from edged.bus.outbox import Letter
from edged.bus.topics import COMMAND, RESULT
from edged.config import Mqtt
from edged.errors import BrokerLost

TURN_S = 0.05


class Unanswered(BrokerLost):
    """The broker took the command, and nothing came back."""


def ask(broker: Mqtt, device: str, verb: str, arguments: Mapping[str, Any], limit_s: float) -> dict[str, Any]:
    """The answer. Raises `BrokerLost` when there is no connection or no leave, `Unanswered` when none comes."""
    versions = Versions(broker.protocol)
    while True:
        try:
            return _Visit(broker, versions.current, device, verb).run(arguments, limit_s)
        except BrokerLost as lost:
            if not versions.blame(lost):
                raise


class _Visit:
    """One connection, one command."""

    def __init__(self, broker: Mqtt, version: str, device: str, verb: str) -> None:
        root = f"{broker.base}/{device}/"
        self._topic = root + COMMAND.at(verb=verb).path
        self._result = root + RESULT.at(verb=verb).path
        self._id = new_id()
        self._answer: dict[str, Any] | None = None
        self._refusal: str | None = None
        self._link = Link(
            broker, version, client_id="", on_settled=self._settled, on_message=self._received, on_deaf=self._deaf
        )

    def run(self, arguments: Mapping[str, Any], limit_s: float) -> dict[str, Any]:
        try:
            self._link.open()
            self._link.subscribe(self._result)
            payload = encode({**arguments, "id": self._id})
            letter = Letter(topic=self._topic, payload=payload, channel=COMMAND, posted_ns=time.monotonic_ns())
            self._link.send(letter)
            end_s = time.monotonic() + limit_s
            while self._answer is None and self._refusal is None and time.monotonic() < end_s:
                self._link.turn(TURN_S)
            self._link.close()
        finally:
            self._link.abandon()
        if self._refusal is not None:
            raise BrokerLost(self._refusal)
        if self._answer is None:
            raise Unanswered(
                f"{self._topic}: no answer within {limit_s:g} s; is the box online, is its name right, "
                "and does its commands.allow list anything at all?"
            )
        return self._answer

    def _settled(self, letter: Letter, refusal: Refusal | None) -> None:
        if refusal is not None:
            self._refusal = f"{letter.topic}: the broker refused it: {refusal.reason}; we need the right to write there"

    def _deaf(self, topic: str, refusal: Refusal) -> None:
        self._refusal = f"{topic}: the broker refused it: {refusal.reason}; we need the right to read there"

    def _received(self, message: Message) -> None:
        try:
            body = json.loads(message.payload)
        except ValueError:
            return
        if isinstance(body, dict) and body.get("id") == self._id:
            self._answer = body
