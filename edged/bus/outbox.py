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

from edged.bus.topics import Channel
from edged.units import NS_PER_S

JSON, CBOR, JPEG = "application/json", "application/cbor", "image/jpeg"


class Receipt(NamedTuple):
    """Where in the store a message is."""

    ring: int
    row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One message on its way out."""

    topic: str  # the whole
    payload: bytes
    channel: Channel  # how it is delivered
    content: str = JSON
    correlation: bytes | None = None  # of the request that it answers
    posted_ns: int = 0
    receipt: Receipt | None = None  # of the store that keeps it until it is there

    @property
    def is_news(self) -> bool:
        """Worth nothing soon: neither kept by the broker nor acknowledged."""
        return self.channel.qos == 0 and not self.channel.retain

    def left_s(self, now_ns: int) -> float | None:
        """What is left of its life; None: it does not expire."""
        expiry_s = self.channel.expiry_s
        return None if expiry_s is None else expiry_s - (now_ns - self.posted_ns) / NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What became of every message, at one instant."""

    accepted: int = 0
    published: int = 0  # written to the broker; with QoS 1, acknowledged
    acknowledged: int = 0  # of those published, with QoS 1
    expired: int = 0  # too old to be sent
    dropped: int = 0  # too many, or overtaken by newer state before they could be sent
    failed: int = 0  # refused by the broker
    waiting: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(**{name: value + getattr(other, name) for name, value in asdict(self).items()})

    @property
    def balanced(self) -> bool:
        return self.accepted == self.published + self.expired + self.dropped + self.failed + self.waiting


class Outbox:
    """A queue that gives up the oldest news first. State (retained) waits once per topic, the newest, and is kept."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._queue: deque[Letter] = deque()
        self._state: dict[str, Letter] = {}  # the last retained letter of each topic
        self._closed = False
        self._out = 0  # taken, and neither settled nor returned
        self._counts = Counter(accepted=0, published=0, acknowledged=0, expired=0, dropped=0, failed=0)

    def post(self, letter: Letter) -> None:
        with self._lock:
            self._counts["accepted"] += 1
            if self._closed:
                self._counts["dropped"] += 1
                return
            if letter.channel.retain:
                self._overtake(letter)
            self._queue.append(letter)
            self._make_room()

    def take(self, now_ns: int) -> Letter | None:
        """The next letter to send, None when there is none. It must be settled, or brought back."""
        with self._lock:
            while self._queue:
                letter = self._queue.popleft()
                left_s = letter.left_s(now_ns)
                if left_s is None or left_s > 0:
                    self._out += 1
                    return letter
                self._counts["expired"] += 1
            return None

    def settle(self, letter: Letter, *, published: bool) -> None:
        """Book a letter that was taken."""
        with self._lock:
            self._out -= 1
            self._counts["published" if published else "failed"] += 1
            self._counts["acknowledged"] += published and letter.channel.qos > 0

    def remember(self, letter: Letter) -> None:
        """State that came another way and is to be repeated."""
        with self._lock:
            self._state[letter.topic] = letter

    def overtaken(self, topic: str) -> None:
        """Newer state is on another way: what is known here of this topic is not to be sent any more."""
        with self._lock:
            if self._state.pop(topic, None) is not None:
                self._withdraw(topic)

    def bring_back(self, letters: Iterable[Letter]) -> None:
        """Put letters that were taken and not sent in front again, in their order."""
        with self._lock:
            for letter in reversed(list(letters)):
                self._out -= 1
                if letter.channel.retain and self._state.get(letter.topic) is not letter:
                    self._counts["dropped"] += 1
                else:
                    self._queue.appendleft(letter)
            self._make_room()

    def repeat_state(self) -> None:
        """Post the last state of every topic again, ahead of all else: the broker may have forgotten it."""
        with self._lock:
            queued = {id(letter) for letter in self._queue}
            again = [letter for letter in self._state.values() if id(letter) not in queued]
            self._counts["accepted"] += len(again)
            self._queue.extendleft(reversed(again))

    def close(self) -> None:
        """Give up everything that waits, and all that will come."""
        with self._lock:
            self._closed = True
            self._counts["dropped"] += len(self._queue)
            self._queue.clear()

    @property
    def tally(self) -> Tally:
        with self._lock:
            return Tally(**self._counts, waiting=len(self._queue) + self._out)

    def __len__(self) -> int:
        return len(self._queue)

    def _overtake(self, letter: Letter) -> None:
        self._state[letter.topic] = letter
        self._withdraw(letter.topic)

    def _withdraw(self, topic: str) -> None:
        states = (i for i, other in enumerate(self._queue) if other.channel.retain)
        old = next((i for i in states if self._queue[i].topic == topic), None)
        if old is not None:
            del self._queue[old]
            self._counts["dropped"] += 1

    def _make_room(self) -> None:
        """Drop the oldest news, else the oldest that is not state; state stays."""
        while len(self._queue) > self._size:
            news = (i for i, letter in enumerate(self._queue) if letter.is_news)
            mortal = (i for i, letter in enumerate(self._queue) if not letter.channel.retain)
            victim = next(news, next(mortal, None))
            if victim is None:
                return
            del self._queue[victim]
            self._counts["dropped"] += 1
