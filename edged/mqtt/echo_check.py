"""Whether what a broker acknowledges also leaves it again, for brokers that never say what they drop.

MQTT 3.1.1, and QoS 0 in any version, has no refusal: a message without the right to its topic is acknowledged and
gone. So the device subscribes to its own topics and waits for each message to come back.
Upstream: the messages sent, their acknowledgements, the messages received. Downstream: the MQTT thread, which owns it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from edged.mqtt.incoming import IncomingMessage
from edged.mqtt.send_queue import OutgoingMessage

TIMEOUT_S = 5.0  # after the acknowledgement
SLOWEST_BYTES_PER_S = 16_000  # of a link that is not too slow for pictures

EchoResult = Literal["returned", "dropped", "unknown"]  # unknown: nothing ever comes back, so it may not be read


@dataclass(slots=True)
class _Waiting:
    message: OutgoingMessage
    acknowledged_s: float | None = None
    returned: bool = False


class EchoCheck:
    """The messages of one connection that have not come back. `on_verdict` is called once for each."""

    def __init__(
        self, on_verdict: Callable[[OutgoingMessage, EchoResult], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._on_verdict = on_verdict
        self._clock = clock
        self._waiting: dict[tuple[str, bytes], _Waiting] = {}
        self.any_returned = False

    def sent(self, message: OutgoingMessage) -> None:
        """The message is to come back; its topic is subscribed to."""
        self._waiting[_key(message.topic, message.payload)] = _Waiting(message)

    def acknowledged(self, message: OutgoingMessage) -> bool:
        """Whether the message is waited for; `on_verdict` follows then."""
        waiting = self._waiting.get(_key(message.topic, message.payload))
        if waiting is None or waiting.message is not message:
            return False
        waiting.acknowledged_s = self._clock()
        self._end_returned(waiting)
        return True

    def arrived(self, message: IncomingMessage) -> OutgoingMessage | None:
        """The message of ours that this one is. A retained one was sent earlier and says nothing."""
        waiting = None if message.retain else self._waiting.get(_key(message.topic, message.payload))
        if waiting is None:
            return None
        waiting.returned = self.any_returned = True
        self._end_returned(waiting)
        return waiting.message

    def check(self) -> None:
        """Give up those that have waited too long."""
        now_s = self._clock()
        for key, waiting in list(self._waiting.items()):
            timeout_s = TIMEOUT_S + len(waiting.message.payload) / SLOWEST_BYTES_PER_S
            if waiting.acknowledged_s is not None and now_s - waiting.acknowledged_s > timeout_s:
                del self._waiting[key]
                self._on_verdict(waiting.message, "dropped" if self.any_returned else "unknown")

    def disconnected(self) -> list[OutgoingMessage]:
        """Those that were acknowledged and have not come back, and nothing waits any more."""
        left = [waiting.message for waiting in self._waiting.values() if waiting.acknowledged_s is not None]
        self._waiting.clear()
        self.any_returned = False
        return left

    def _end_returned(self, waiting: _Waiting) -> None:
        if waiting.returned and waiting.acknowledged_s is not None:
            del self._waiting[_key(waiting.message.topic, waiting.message.payload)]
            self._on_verdict(waiting.message, "returned")


def _key(topic: str, payload: bytes) -> tuple[str, bytes]:
    return topic, sha256(payload).digest()
