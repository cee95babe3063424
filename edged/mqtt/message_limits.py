"""Which messages a broker does not take, learned from connections that ended over them.

Upstream and downstream: the MQTT thread. MQTT 3.1.1 has no word for "too large" or "not there": the broker hangs up,
and the same message would end every connection. After a cut with several messages under way the next connection is
careful: it sends one at a time, so that the next cut names the message.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from edged.mqtt.send_queue import OutgoingMessage
from edged.runtime.lru import LruDict

NO_RETAIN = "it keeps no messages: who subscribes later sees nothing until it changes"
QOS_0_ONLY = "it knows QoS 0 only: a message may be lost on the way"
UNVERIFIED = "nothing that is sent comes back, which with this broker is the only sign of arrival; alerts stay on disk"

NOT_RETURNED = "acknowledged, but not sent to subscribers"
NO_RIGHT = ("Not authorized", NOT_RETURNED)  # reasons of a refusal that a right cures
TOO_LARGE = "a message so large is dropped, or ends the connection; raise the broker's limit of message size"
ENDS_CONNECTION = "a message on this topic ended the connection each time; give this client the right to write there"
LARGE_OR_NO_RIGHT = (
    "a message on this topic ended the connection each time; raise the broker's limit of message size, which is low, "
    "or give this client the right to write there"
)

MAX_CUTS = 2  # connections that a message may end; one, once the broker is known to have a limit of size
MAX_CUTS_IF_DOUBTFUL = 4  # if its topic was taken before, or nothing ever was: the network is likelier
MIN_SIZE_LIMIT = 1024  # bytes; a smaller message is not refused for its size
SIMILAR_SIZE = 1.1  # times the largest that was taken
CAREFUL_S = 10.0  # longest; a message that was under way may never come again


class MessageLimits:
    """What is known of one broker. Thread: the MQTT thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._cuts: LruDict[str, int] = LruDict()  # by topic, since one of its messages was taken
        self._blocked: LruDict[str, int] = LruDict()  # bytes from which on nothing is sent, by topic
        self._taken: LruDict[str, int] = LruDict()  # bytes of the largest message that was taken, by topic
        self._suspects: LruDict[str, None] = LruDict()  # topics
        self._careful_until_s = 0.0
        self.max_bytes: int | None = None  # of a message, topic included; None: no limit is known

    @property
    def careful(self) -> bool:
        return bool(self._suspects) and self._clock() < self._careful_until_s

    def blocks(self, message: OutgoingMessage) -> bool:
        """Whether the message would end the connection."""
        too_large = self.max_bytes is not None and size_bytes(message) >= self.max_bytes
        return too_large or size_bytes(message) >= self._blocked.get(message.topic, 1 << 62)

    def read(self, message: OutgoingMessage) -> None:
        """The broker has read the message, and the connection lasts."""
        self._suspects.pop(message.topic, None)
        self._cuts.pop(message.topic, None)

    def taken(self, message: OutgoingMessage) -> None:
        """The broker has read the message, and not dropped it."""
        self.read(message)
        self._taken[message.topic] = max(size_bytes(message), self._taken.get(message.topic, 0))

    def dropped(self, message: OutgoingMessage) -> None:
        """The broker acknowledged the message and sent it to nobody: larger than all that it took, it is too large."""
        if self._is_too_large(message):
            self._limit(size_bytes(message))

    def connection_cut(self, unconfirmed: Sequence[OutgoingMessage]) -> bool:
        """Whether one of these messages may be why the other side ended the connection while they were under way."""
        self._suspects.update(dict.fromkeys(message.topic for message in unconfirmed))
        self._careful_until_s = self._clock() + CAREFUL_S
        if len({id(message) for message in unconfirmed}) == 1:
            message = unconfirmed[0]
            self._cuts[message.topic] = self._cuts.get(message.topic, 0) + 1
            if self._cuts[message.topic] >= self._max_cuts(message):
                self._block(message)
        return any(self._suspicious(message) for message in unconfirmed)

    def forget(self) -> None:
        """The broker may be another one now. What ended its connections is tried again, once."""
        self._cuts.clear()
        self._cuts.update(dict.fromkeys(self._blocked, MAX_CUTS - 1))
        self._blocked.clear()
        self._taken.clear()
        self._suspects.clear()
        self.max_bytes = None

    def reason(self, message: OutgoingMessage) -> str:
        """Why a message is not sent."""
        beyond = self.max_bytes is not None and size_bytes(message) >= self.max_bytes
        if beyond or self._blocked.get(message.topic):
            return TOO_LARGE
        return ENDS_CONNECTION if self.max_bytes is None else LARGE_OR_NO_RIGHT

    def _suspicious(self, message: OutgoingMessage) -> bool:
        """Whether the message may well end a connection: none of its topic, about as large, was taken."""
        known_good = size_bytes(message) <= SIMILAR_SIZE * self._taken.get(message.topic, 0)
        return not known_good and (bool(self._taken) or size_bytes(message) >= MIN_SIZE_LIMIT)

    def _max_cuts(self, message: OutgoingMessage) -> int:
        """Connections that the message may end before it is blocked."""
        if not self._suspicious(message):
            return MAX_CUTS_IF_DOUBTFUL
        return 1 if self.max_bytes is not None and self._is_too_large(message) else MAX_CUTS

    def _block(self, message: OutgoingMessage) -> None:
        self._suspects.pop(message.topic, None)
        size = size_bytes(message)
        if self._is_too_large(message):
            self._limit(size)
        smaller_taken = 0 < self._taken.get(message.topic, 0) < size
        self._blocked[message.topic] = size if self.max_bytes == size or smaller_taken else 0

    def _is_too_large(self, message: OutgoingMessage) -> bool:
        size = size_bytes(message)
        return size >= MIN_SIZE_LIMIT and size > max(self._taken.values(), default=0)

    def _limit(self, size: int) -> None:
        self.max_bytes = size if self.max_bytes is None else min(self.max_bytes, size)


def size_bytes(message: OutgoingMessage) -> int:
    return len(message.payload) + len(message.topic)
