"""Messages that wait for the broker in memory, and the counts of what became of them.

Upstream: `publish`, from any thread. Downstream: the MQTT thread, which gets, sends and reports each result.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass, field
from typing import Literal, NamedTuple

from edged.messages.topics import RESULT, TopicSpec
from edged.units import NS_PER_S

JSON, CBOR = "application/json", "application/cbor"


Outcome = Literal["published", "expired", "dropped", "failed"]


class StoreId(NamedTuple):
    """Where in the store a message is."""

    file_no: int
    row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingMessage:
    """One message on its way out."""

    topic: str  # with <base>/<device>/
    payload: bytes
    spec: TopicSpec  # how it is delivered
    content_type: str = JSON
    correlation: bytes | None = None  # of the request that it answers
    queued_ns: int = 0  # CLOCK_MONOTONIC
    store_id: StoreId | None = None  # None: it is not in the persistent queue
    on_published: Callable[[], None] | None = field(default=None, compare=False)

    @property
    def droppable(self) -> bool:
        """Whether it may be lost: neither retained by the broker nor acknowledged."""
        return self.spec.qos == 0 and not self.spec.retain

    def remaining_s(self, now_ns: int) -> float | None:
        """Seconds until it expires; None: never."""
        expiry_s = self.spec.expiry_s
        return None if expiry_s is None else expiry_s - (now_ns - self.queued_ns) / NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryCounts:
    """What became of every message, at one instant.

    accepted = published + expired + dropped + failed + waiting
    """

    accepted: int = 0
    published: int = 0  # written to the broker; with QoS 1, acknowledged
    acknowledged: int = 0  # of those published, with QoS 1
    expired: int = 0  # too old to be sent
    dropped: int = 0  # no room, or replaced by a newer retained message before it was sent
    failed: int = 0  # refused by the broker
    waiting: int = 0  # those in flight included

    def __add__(self, other: DeliveryCounts) -> DeliveryCounts:
        return DeliveryCounts(**{name: value + getattr(other, name) for name, value in asdict(self).items()})

    @property
    def balanced(self) -> bool:
        return self.accepted == self.published + self.expired + self.dropped + self.failed + self.waiting


class MessageCounter:
    """Counts messages so that they always balance. It has no lock: its owner calls it under one of its own."""

    def __init__(self) -> None:
        self._counts = Counter(accepted=0, published=0, acknowledged=0, expired=0, dropped=0, failed=0, waiting=0)

    def accept(self, count: int = 1) -> None:
        """Messages that wait from now on."""
        self._counts["accepted"] += count
        self._counts["waiting"] += count

    def finish(self, outcome: Outcome, count: int = 1) -> None:
        """Messages that waited or were in flight."""
        self._counts["waiting"] -= count
        self._counts[outcome] += count

    def acknowledge(self) -> None:
        """One of the published messages was sent with QoS 1."""
        self._counts["acknowledged"] += 1

    @property
    def counts(self) -> DeliveryCounts:
        return DeliveryCounts(**self._counts)


class SendQueue:
    """A bounded queue in memory. When it is full the oldest droppable message goes first.

    Of retained messages only the newest of each topic waits, and none is dropped for room. Thread: any.
    """

    def __init__(self, size: int) -> None:
        self._size = size  # messages
        self._lock = threading.Lock()
        self._queue: deque[OutgoingMessage] = deque()
        self._retained: dict[str, OutgoingMessage] = {}  # the newest of each topic, sent or not
        self._closed = False
        self._counter = MessageCounter()

    def put(self, message: OutgoingMessage) -> None:
        with self._lock:
            self._counter.accept()
            if self._closed:
                self._counter.finish("dropped")
                return
            if message.spec.retain:
                self._retained[message.topic] = message
                self._remove_queued(message.topic)
            self._queue.append(message)
            self._make_room()

    def get(self, now_ns: int) -> OutgoingMessage | None:
        """The next message to send, None when there is none. `done` or `requeue` must follow."""
        with self._lock:
            while self._queue:
                message = self._queue.popleft()
                remaining_s = message.remaining_s(now_ns)
                if remaining_s is None or remaining_s > 0:
                    return message
                self._counter.finish("expired")
            return None

    def done(self, message: OutgoingMessage, *, published: bool) -> None:
        """Record the result of a message that was sent. What is cleared is not cleared again on the next connection."""
        with self._lock:
            self._counter.finish("published" if published else "failed")
            if published and message.spec.qos:
                self._counter.acknowledge()
            if published and not message.payload and self._retained.get(message.topic) is message:
                del self._retained[message.topic]

    def requeue(self, messages: Iterable[OutgoingMessage]) -> None:
        """Put messages back in front, in their order: they were taken, and the connection ended.

        Not an answer: its sender named the topic, which may be why the connection ended.
        """
        with self._lock:
            for message in reversed(list(messages)):
                if message.spec is RESULT:
                    self._counter.finish("failed")
                elif message.spec.retain and self._retained.get(message.topic) is not message:
                    self._counter.finish("dropped")
                else:
                    self._queue.appendleft(message)
            self._make_room()

    def remember_retained(self, message: OutgoingMessage) -> None:
        """Repeat this message on the next connection, though it did not come through this queue."""
        with self._lock:
            self._retained[message.topic] = message

    def supersede(self, topic: str) -> None:
        """A newer message of this topic takes another way: send none from here any more."""
        with self._lock:
            if self._retained.pop(topic, None) is not None:
                self._remove_queued(topic)

    def requeue_retained(self, topics: Collection[str] | None = None) -> None:
        """Queue the newest message of every topic again, in front: the broker may have lost it. None: all topics."""
        with self._lock:
            queued = {id(message) for message in self._queue}
            wanted = [message for topic, message in self._retained.items() if topics is None or topic in topics]
            again = [message for message in wanted if id(message) not in queued]
            self._counter.accept(len(again))
            self._queue.extendleft(reversed(again))

    def close(self) -> None:
        """Drop everything that waits, and whatever is put from now on."""
        with self._lock:
            self._closed = True
            self._counter.finish("dropped", len(self._queue))
            self._queue.clear()

    @property
    def counts(self) -> DeliveryCounts:
        with self._lock:
            return self._counter.counts

    def __len__(self) -> int:
        return len(self._queue)

    def _remove_queued(self, topic: str) -> None:
        """The retained message of this topic that waits, if there is one."""
        retained = (i for i, message in enumerate(self._queue) if message.spec.retain)
        index = next((i for i in retained if self._queue[i].topic == topic), None)
        if index is not None:
            del self._queue[index]
            self._counter.finish("dropped")

    def _make_room(self) -> None:
        """Drop the oldest droppable message, else the oldest that is not retained."""
        while len(self._queue) > self._size:
            droppable = (i for i, message in enumerate(self._queue) if message.droppable)
            not_retained = (i for i, message in enumerate(self._queue) if not message.spec.retain)
            index = next(droppable, next(not_retained, None))
            if index is None:
                return
            del self._queue[index]
            self._counter.finish("dropped")
