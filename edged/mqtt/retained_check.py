"""Whether a command that arrives with MQTT 3.1.1 is retained: such a broker hides it from who subscribed before.

So the command waits while its topic is subscribed to once more: the broker then sends what it retains again, marked.
Upstream: the messages received. Downstream: the MQTT thread, which owns it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

from edged.messages.bus import MAX_PAYLOAD_BYTES, MAX_REQUEST_BYTES
from edged.messages.topics import matches
from edged.mqtt.connection import MqttConnection
from edged.mqtt.incoming import IncomingMessage

WAIT_S = 1.0  # for the broker to send it again
MAX_HELD = 128  # more are taken for retained


class RetainedCheck:
    """`deliver` gets each message, marked as retained if it is."""

    def __init__(
        self, pattern: str, deliver: Callable[[IncomingMessage], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`pattern` is the subscription to commands."""
        self._pattern = pattern
        self._deliver = deliver
        self._clock = clock
        self._held: list[tuple[float, IncomingMessage]] = []  # with the time at which each was asked about
        self._retained: set[tuple[str, bytes]] = set()  # seen while any is held

    def arrived(self, connection: MqttConnection, message: IncomingMessage) -> None:
        is_command = matches(self._pattern, message.topic)
        message = message.limited(MAX_PAYLOAD_BYTES if is_command else MAX_REQUEST_BYTES)
        if connection.version != "3.1.1" or not is_command:
            self._deliver(message)
        elif message.retain and self._held:
            self._retained.add(_key(message))
        elif message.retain:
            self._deliver(message)
        elif len(self._held) >= MAX_HELD:
            self._deliver(replace(message, retain=True))
        else:
            self._held.append((self._clock(), message))
            connection.subscribe(self._pattern)

    def check(self) -> None:
        """Deliver what has waited long enough. Called about once a second."""
        due_s = self._clock() - WAIT_S
        while self._held and self._held[0][0] <= due_s:
            _, message = self._held.pop(0)
            self._deliver(replace(message, retain=_key(message) in self._retained))
        if not self._held:
            self._retained.clear()

    def disconnected(self) -> None:
        """What waits is given up: its sender may be gone, and the next connection finds what is retained."""
        self._held.clear()
        self._retained.clear()


def _key(message: IncomingMessage) -> tuple[str, bytes]:
    return message.topic, sha256(message.payload).digest()
