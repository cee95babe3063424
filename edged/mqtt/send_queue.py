"""Messages waiting for the broker: bounded, and every one accounted for.

Upstream `publish` from any thread, downstream the bus's one sender thread.
`accepted = published + expired + dropped + failed + waiting`, always.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import NamedTuple

from edged.messages.topics import TopicSpec
from edged.units import NS_PER_S

JSON, CBOR, JPEG = "application/json", "application/cbor", "image/jpeg"


class StoreId(NamedTuple):
    """Where in the store a message is."""

    file_no: int
    row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingMessage:
    """One message on its way out."""

    topic: str  # the whole
    payload: bytes
    spec: TopicSpec  # how it is delivered
    content_type: str = JSON
    correlation: bytes | None = None  # of the request that it answers
    queued_ns: int = 0
    store_id: StoreId | None = None  # of the store that keeps it until it is there

    @property
    def droppable(self) -> bool:
        """Worth nothing soon: neither kept by the broker nor acknowledged."""
        return self.spec.qos == 0 and not self.spec.retain

    def remaining_s(self, now_ns: int) -> float | None:
        """What is left of its life; None: it does not expire."""
        expiry_s = self.spec.expiry_s
        return None if expiry_s is None else expiry_s - (now_ns - self.queued_ns) / NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryCounts:
    """What became of every message, at one instant."""

    accepted: int = 0
    published: int = 0  # written to the broker; with QoS 1, acknowledged
    acknowledged: int = 0  # of those published, with QoS 1
    expired: int = 0  # too old to be sent
    dropped: int = 0  # too many, or overtaken by newer state before they could be sent
    failed: int = 0  # refused by the broker
    waiting: int = 0

    def __add__(self, other: DeliveryCounts) -> DeliveryCounts:
        return DeliveryCounts(**{name: value + getattr(other, name) for name, value in asdict(self).items()})

    @property
    def balanced(self) -> bool:
        return self.accepted == self.published + self.expired + self.dropped + self.failed + self.waiting


class SendQueue:
    """A queue that gives up the oldest news first. State (retained) waits once per topic, the newest, and is kept."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._queue: deque[OutgoingMessage] = deque()
        self._retained: dict[str, OutgoingMessage] = {}  # the last retained letter of each topic
        self._closed = False
        self._in_flight = 0  # taken, and neither settled nor returned
        self._counts = Counter(accepted=0, published=0, acknowledged=0, expired=0, dropped=0, failed=0)

    def put(self, message: OutgoingMessage) -> None:
        with self._lock:
            self._counts["accepted"] += 1
            if self._closed:
                self._counts["dropped"] += 1
                return
            if message.spec.retain:
                self._replace_retained(message)
            self._queue.append(message)
            self._make_room()

    def get(self, now_ns: int) -> OutgoingMessage | None:
        """The next letter to send, None when there is none. It must be settled, or brought back."""
        with self._lock:
            while self._queue:
                letter = self._queue.popleft()
                left_s = letter.remaining_s(now_ns)
                if left_s is None or left_s > 0:
                    self._in_flight += 1
                    return letter
                self._counts["expired"] += 1
            return None

    def done(self, message: OutgoingMessage, *, published: bool) -> None:
        """Book a letter that was taken."""
        with self._lock:
            self._in_flight -= 1
            self._counts["published" if published else "failed"] += 1
            self._counts["acknowledged"] += published and message.spec.qos > 0

    def remember_retained(self, message: OutgoingMessage) -> None:
        """State that came another way and is to be repeated."""
        with self._lock:
            self._retained[message.topic] = message

    def supersede(self, topic: str) -> None:
        """Newer state is on another way: what is known here of this topic is not to be sent any more."""
        with self._lock:
            if self._retained.pop(topic, None) is not None:
                self._remove_queued(topic)

    def requeue(self, messages: Iterable[OutgoingMessage]) -> None:
        """Put letters that were taken and not sent in front again, in their order."""
        with self._lock:
            for letter in reversed(list(messages)):
                self._in_flight -= 1
                if letter.spec.retain and self._retained.get(letter.topic) is not letter:
                    self._counts["dropped"] += 1
                else:
                    self._queue.appendleft(letter)
            self._make_room()

    def requeue_retained(self) -> None:
        """Post the last state of every topic again, ahead of all else: the broker may have forgotten it."""
        with self._lock:
            queued = {id(letter) for letter in self._queue}
            again = [letter for letter in self._retained.values() if id(letter) not in queued]
            self._counts["accepted"] += len(again)
            self._queue.extendleft(reversed(again))

    def close(self) -> None:
        """Give up everything that waits, and all that will come."""
        with self._lock:
            self._closed = True
            self._counts["dropped"] += len(self._queue)
            self._queue.clear()

    @property
    def counts(self) -> DeliveryCounts:
        with self._lock:
            return DeliveryCounts(**self._counts, waiting=len(self._queue) + self._in_flight)

    def __len__(self) -> int:
        return len(self._queue)

    def _replace_retained(self, message: OutgoingMessage) -> None:
        self._retained[message.topic] = message
        self._remove_queued(message.topic)

    def _remove_queued(self, topic: str) -> None:
        states = (i for i, other in enumerate(self._queue) if other.spec.retain)
        old = next((i for i in states if self._queue[i].topic == topic), None)
        if old is not None:
            del self._queue[old]
            self._counts["dropped"] += 1

    def _make_room(self) -> None:
        """Drop the oldest news, else the oldest that is not state; state stays."""
        while len(self._queue) > self._size:
            news = (i for i, letter in enumerate(self._queue) if letter.droppable)
            mortal = (i for i, letter in enumerate(self._queue) if not letter.spec.retain)
            victim = next(news, next(mortal, None))
            if victim is None:
                return
            del self._queue[victim]
            self._counts["dropped"] += 1
