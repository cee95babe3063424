"""One command to a device and its response: `edged send`.

And which devices are there to be asked.

Downstream: `connection`. Everything happens in the caller's thread. A response is recognised by an id in its body, so
that MQTT 3.1.1 does as well as 5.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from edged.config.tables.mqtt import MqttConfig
from edged.config.types import NAME
from edged.errors import BrokerLost
from edged.foreign_text import foreign_json
from edged.messages import schema
from edged.messages.build import encode, new_id
from edged.messages.topics import COMMAND, RESULT
from edged.mqtt.connection import HUNG_UP, MqttConnection, Refusal
from edged.mqtt.fleet_state import conforms
from edged.mqtt.incoming import IncomingMessage
from edged.mqtt.negotiation import FULL, Greeting, Negotiator
from edged.mqtt.send_queue import OutgoingMessage

POLL_S = 0.05  # between two looks whether the answer is there
NOT_THERE = ("unreachable", "no-connack", "tls-wanted", "certificate-wanted")  # codes of errors before any answer
STATUS_WAIT_S = 1.0  # for the retained statuses of all devices

T = TypeVar("T")


class ResponseTimeout(BrokerLost):
    """The broker accepted the command, and no response came."""


def request(
    broker: MqttConfig, device: str, verb: str, arguments: Mapping[str, Any], timeout_s: float
) -> dict[str, Any]:
    """The response to a command. Raises ResponseTimeout, or BrokerLost without a connection or a right."""
    return request_picture(broker, device, verb, arguments, timeout_s, picture=None)[0]


def request_picture(
    broker: MqttConfig, device: str, verb: str, arguments: Mapping[str, Any], timeout_s: float, *, picture: str | None
) -> tuple[dict[str, Any], bytes | None]:
    """The response to a command, and what it published at `picture`, a topic of the device; raises as `request`."""
    root, request_id = f"{broker.base_topic}/{device}/", new_id()
    message = OutgoingMessage(
        topic=root + COMMAND.at(command=verb).path,
        payload=encode({**arguments, "id": request_id}),
        spec=COMMAND,
        queued_ns=time.monotonic_ns(),
    )
    topics = [root + RESULT.at(command=verb).path, *([] if picture is None else [root + picture])]

    def attempt(node: MqttConfig, version: str, greeting: Greeting) -> tuple[dict[str, Any], bytes | None]:
        one_shot = _OneShot(node, version, greeting)
        one_shot.run(
            message,
            topics,
            lambda: one_shot.refusal is not None or one_shot.complete(request_id, topics[1:]),
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
        return response, one_shot.picture(response, topics[1:])

    return _negotiated(broker, attempt)


def online_devices(broker: MqttConfig) -> list[str]:
    """The devices below the base topic that say that they are online, by name. Raises BrokerLost."""

    def attempt(node: MqttConfig, version: str, greeting: Greeting) -> list[str]:
        states: dict[str, object] = {}

        def on_message(message: IncomingMessage) -> None:
            device = message.topic.removeprefix(f"{broker.base_topic}/").removesuffix("/status")
            body = foreign_json(message.payload)
            if isinstance(body, dict):  # else of another sender
                states[device] = body.get("state")

        connection = MqttConnection(node, version, client_id="", on_message=on_message)
        try:
            connection.open()
            connection.subscribe(f"{broker.base_topic}/+/status")
            end_s = time.monotonic() + STATUS_WAIT_S
            while time.monotonic() < end_s:
                connection.poll(POLL_S)
            connection.close()
        finally:
            connection.abandon()
        return sorted(device for device, state in states.items() if state == "online" and re.fullmatch(NAME, device))

    return _negotiated(broker, attempt)


def _is_result(body: dict[str, Any]) -> bool:
    """Whether what is there has the types of an answer, and a failure has its reason."""
    return conforms(schema.Result, body) and bool(body.get("ok") or body.get("error"))


def _negotiated(broker: MqttConfig, attempt: Callable[[MqttConfig, str, Greeting], T]) -> T:
    """The result of `attempt` with the first node that is there and the first MQTT version that it speaks.

    A broker of 3.1.1 that knows QoS 0 only hangs up on a message, so that it is sent once more with QoS 0.
    """
    versions, greeting, nodes = Negotiator(broker.protocol), FULL, iter(broker.nodes)
    node, gone = next(nodes), list[str]()
    while True:
        try:
            return attempt(node, versions.current, greeting)
        except BrokerLost as error:
            if error.code == HUNG_UP and versions.current == "3.1.1" and greeting is FULL:
                greeting = Greeting(max_qos=0)
            elif not versions.try_next(error):
                if error.code not in NOT_THERE:
                    raise
                gone.append(str(error))
                if (following := next(nodes, None)) is None:
                    raise BrokerLost("; ".join(gone), error.code) from None
                node, versions = following, Negotiator(broker.protocol)


class _OneShot:
    """One connection, its subscriptions, one message."""

    def __init__(self, broker: MqttConfig, version: str, greeting: Greeting) -> None:
        self.acknowledged: bool | None = None  # None: no answer yet
        self.refusal: BrokerLost | None = None  # of the message, or of the subscription
        self.arrivals: list[tuple[float, IncomingMessage]] = []  # CLOCK_MONOTONIC in s, and the message
        self._connection = MqttConnection(
            broker,
            version,
            client_id="",
            greeting=greeting,
            on_result=self._on_result,
            on_message=lambda message: self.arrivals.append((time.monotonic(), message)),
            on_subscribed=lambda topic, refusal: self._refuse(topic, refusal, "read"),
        )

    def run(self, message: OutgoingMessage, topics: Sequence[str], done: Callable[[], bool], timeout_s: float) -> float:
        """Subscribe to `topics`, send, and wait until `done`. Returns when it was sent, CLOCK_MONOTONIC in s."""
        try:
            self._connection.open()
            for topic in topics:
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
            body = foreign_json(message.payload)
            if isinstance(body, dict) and body.get("id") == request_id and _is_result(body):
                return body
        return None

    def picture(self, response: Mapping[str, Any], topics: Sequence[str]) -> bytes | None:
        """What arrived at `topics` and is as long as the response says; None: nothing, or the command failed."""
        size = (response.get("data") or {}).get("bytes") if response.get("ok") else None
        found = [message.payload for _, message in self.arrivals if message.topic in topics]
        return next((payload for payload in found if len(payload) == size), None)

    def complete(self, request_id: str, picture_topics: Sequence[str]) -> bool:
        """Whether the response is here, and the picture that it speaks of."""
        response = self.response(request_id)
        if response is None:
            return False
        return not (picture_topics and response.get("ok")) or self.picture(response, picture_topics) is not None

    def _on_result(self, message: OutgoingMessage, refusal: Refusal | None) -> None:
        self.acknowledged = refusal is None
        self._refuse(message.topic, refusal, "write")

    def _refuse(self, topic: str, refusal: Refusal | None, right: str) -> None:
        if refusal is not None:
            text = f"{topic}: the broker refused it: {refusal.reason}; we need the right to {right} there"
            self.refusal = BrokerLost(text, refusal.code)
