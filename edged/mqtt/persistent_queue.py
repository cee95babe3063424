"""Messages that must survive: on disk before they are sent, and until the broker has them.

Upstream `post`, from any thread, never waiting; downstream the bus's thread, which takes and settles them in order.
A thread of its own writes: a slow disk keeps nobody waiting but the messages that want it.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from edged.messages.build import encode
from edged.messages.topics import TOPIC_SPECS, Topic
from edged.mqtt.failover_store import MEMORY, FailoverStore
from edged.mqtt.send_queue import DeliveryCounts, OutgoingMessage, StoreId
from edged.mqtt.sqlite_queue import QueueLimits, QueueRow
from edged.runtime.threads import SupervisedThread
from edged.units import MS_PER_S, NS_PER_MS

log = logging.getLogger(__name__)

MAX_UNWRITTEN = 1024  # messages not yet written; so many only wait while the disk hangs
MAX_IN_FLIGHT = 10  # at the broker at once: half of what it takes, the rest is for live messages
WINDOW_INTERVAL_S = 0.1  # between windows of old messages
FORGET_INTERVAL_S = 1.0  # what the broker has is forgotten on disk so often
RETRY_REFUSED_S = 600.0  # what was refused is tried again so often: rights may have been given
TRIM_INTERVAL_S = 60.0
CLOSE_TIMEOUT_S = 2.0

SPEC_BY_NAME = {channel.name: channel for channel in TOPIC_SPECS}

Outcome = Literal["published", "failed", "refused"]


class PersistentQueue:
    """A queue on disk. Each connection begins with all that is in it, oldest first."""

    def __init__(
        self,
        path: Path | None,
        limits: QueueLimits,
        make_message: Callable[[Topic, Mapping[str, Any]], OutgoingMessage],
        wake: Callable[[], None],
    ) -> None:
        """`make_message` makes one of a message; `wake` is called when there is something to take."""
        self._make_message = make_message
        self._wake = wake
        self._changed = threading.Condition()
        self._inbox: deque[tuple[QueueRow, int]] = deque()  # and the connection it was posted in
        self._writing = 0  # rows between inbox and shelf
        self._ready: deque[tuple[StoreId, OutgoingMessage]] = deque()
        self._out: set[StoreId] = set()  # taken, not settled
        self._gone: set[StoreId] = set()  # settled, still on the shelf
        self._counts = Counter(accepted=0, published=0, dropped=0, failed=0)
        self._connection = 0  # odd while there is one
        self._closing = False
        self._shelf = FailoverStore(path, limits)
        self._rows, self._oldest_ms = self._shelf.rows, self._shelf.oldest_ms
        self._era = 0  # the connection that is being served
        self._fresh: set[StoreId] = set()  # posted in this connection, not yet handed out
        self._all_out = False  # nothing more on the shelf
        self._fill_s = self._rest_s = self._trim_s = 0.0  # when to hand out, forget and trim again
        self._again_s: float | None = None  # when to try again what was refused
        self._thread = SupervisedThread("store", self._step)
        self._thread.start()

    def put(self, topic: Topic, message: Mapping[str, Any]) -> None:
        """Raises ValueError for what is not JSON."""
        row = _row(topic, message)
        with self._changed:
            self._counts["accepted"] += 1
            if self._closing:
                self._counts["dropped"] += 1
                return
            self._inbox.append((row, self._connection))
            if len(self._inbox) > MAX_UNWRITTEN:
                self._inbox.remove(min(self._inbox, key=lambda posted: posted[0].priority))
                self._counts["dropped"] += 1
            self._changed.notify()

    def connected(self) -> None:
        self._turn_over(online=True)

    def disconnected(self) -> None:
        """What was taken and not settled is handed out again at the next connection."""
        self._turn_over(online=False)

    def get(self) -> OutgoingMessage | None:
        """The next letter to send. It must be settled while the connection lasts."""
        with self._changed:
            if not self._ready:
                return None
            receipt, letter = self._ready.popleft()
            self._out.add(receipt)
            return letter

    def done(self, store_id: StoreId, outcome: Outcome) -> None:
        """Book a letter that was taken; one refused is tried again later, one failed goes for good."""
        with self._changed:
            if store_id not in self._out:
                return
            self._out.remove(store_id)
            if outcome == "refused":
                self._again_s = time.monotonic() + RETRY_REFUSED_S
            else:
                self._gone.add(store_id)
                self._counts[outcome] += 1
            if not self._out and not self._ready:
                self._changed.notify()

    @property
    def idle(self) -> bool:
        """Whether nothing is written or sent at the moment."""
        with self._changed:
            busy = self._inbox or self._writing or self._ready or self._out
            return not busy and (self._all_out or not self._online)

    @property
    def counts(self) -> DeliveryCounts:
        with self._changed:
            shelf, counts = self._shelf, self._counts
            return DeliveryCounts(
                accepted=counts["accepted"] + shelf.carried,
                published=counts["published"],
                acknowledged=counts["published"],
                expired=shelf.expired,
                dropped=counts["dropped"] + shelf.dropped,
                failed=counts["failed"],
                waiting=self._waiting,
            )

    @property
    def stats(self) -> dict[str, Any]:
        """For `health`: what waits, how old it is, and whether it will survive a power cut once it is written."""
        with self._changed:
            age_ms = None if self._oldest_ms is None else max(0, time.time_ns() // NS_PER_MS - self._oldest_ms)
            return {
                "rows": self._waiting,
                "unwritten": len(self._inbox) + self._writing,
                "bytes": self._shelf.size_bytes,
                "oldest_s": None if age_ms is None or not self._waiting else round(age_ms / MS_PER_S),
                "durable": self._shelf.durable,
                "corrupt_files": self._shelf.torn,
            }

    def close(self) -> None:
        """Write what is not written yet."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.wake()
        self._thread.join(CLOSE_TIMEOUT_S)
        self._thread.stop()

    @property
    def _online(self) -> bool:
        return self._connection % 2 == 1

    @property
    def _waiting(self) -> int:
        return len(self._inbox) + self._writing + self._rows - len(self._gone)

    def _turn_over(self, *, online: bool) -> None:
        with self._changed:
            if online != self._online:
                self._connection += 1
                self._ready.clear()
                self._out.clear()
                self._changed.notify()

    def _step(self) -> float | None:
        if not self._closing:
            self._turn()
            return 0.0
        self._store()
        self._shelf.close()
        with self._changed:
            self._rows = self._shelf.rows
        return None

    def _turn(self) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._wanted, WINDOW_INTERVAL_S if self._online and not self._all_out else FORGET_INTERVAL_S
            )
        self._follow_connection()
        now_s = time.monotonic()
        if self._inbox or (self._gone and now_s > self._rest_s) or now_s > self._trim_s:
            self._store()
        self._mend()
        self._fill()

    @property
    def _wanted(self) -> bool:
        hungry = self._online and not (self._all_out or self._ready or self._out) and time.monotonic() > self._fill_s
        return bool(self._closing or self._inbox or self._era != self._connection or hungry)

    def _follow_connection(self) -> None:
        now_s = time.monotonic()
        if self._era != self._connection:
            self._era = self._connection
            self._fresh.clear()
            self._begin_again()
        elif self._again_s is not None and now_s > self._again_s and not (self._ready or self._out):
            self._begin_again()

    def _begin_again(self) -> None:
        self._shelf.rewind()
        self._all_out = False
        self._fill_s, self._again_s = 0.0, None

    def _store(self) -> None:
        with self._changed:
            posted, gone = list(self._inbox), set(self._gone)
            self._inbox.clear()
            self._writing = len(posted)
        receipts, forgotten = self._shelf.put([row for row, _ in posted], gone)
        self._rest_s, self._trim_s = time.monotonic() + FORGET_INTERVAL_S, time.monotonic() + TRIM_INTERVAL_S
        born = zip(receipts, posted, strict=True)
        self._fresh.update(receipt for receipt, (_, era) in born if era % 2 == 1 and era == self._era)
        with self._changed:
            self._writing = 0
            self._gone -= forgotten
            self._rows, self._oldest_ms = self._shelf.rows, self._shelf.oldest_ms
            self._all_out = self._all_out and not posted

    def _mend(self) -> None:
        """Back to disk, at a moment when no letter is on its way from memory."""
        if not self._shelf.mending:
            return
        with self._changed:
            if self._out or any(receipt.file_no == MEMORY for receipt in self._gone):
                return
            self._ready.clear()
        self._shelf.mend()
        self._begin_again()
        with self._changed:
            self._rows = self._shelf.rows

    def _fill(self) -> None:
        """Make the next letters ready: at once what is new, window by window what is old."""
        with self._changed:
            room = MAX_IN_FLIGHT - len(self._ready) - len(self._out) if self._online else 0
        if room <= 0 or self._all_out or time.monotonic() < self._fill_s:
            return
        found = self._shelf.next(room)
        wanted = [(receipt, row) for receipt, row in found if receipt not in self._gone]
        letters = [(receipt, self._restored(receipt, row)) for receipt, row in wanted if self._known(receipt, row)]
        if any(receipt not in self._fresh for receipt, _ in found):
            self._fill_s = time.monotonic() + WINDOW_INTERVAL_S
        self._fresh.difference_update(receipt for receipt, _ in found)
        with self._changed:
            self._all_out = len(found) < room
            if self._era == self._connection:
                self._ready.extend(letters)
        self._wake()

    def _known(self, receipt: StoreId, row: QueueRow) -> bool:
        """Whether there still is such a channel; the message of another version's is given up."""
        if row.spec_name not in SPEC_BY_NAME:
            with self._changed:
                self._gone.add(receipt)
                self._counts["failed"] += 1
        return row.spec_name in SPEC_BY_NAME

    def _restored(self, receipt: StoreId, row: QueueRow) -> OutgoingMessage:
        """The letter; it says so when it could not be delivered at once."""
        stored = {} if receipt in self._fresh else {"stored": True}
        body = {**json.loads(row.body), **stored}
        letter = self._make_message(Topic(path=row.path, spec=SPEC_BY_NAME[row.spec_name]), body)
        return replace(letter, store_id=receipt)


def _row(topic: Topic, message: Mapping[str, Any]) -> QueueRow:
    return QueueRow(
        path=topic.path,
        spec_name=topic.spec.name,
        priority=topic.spec.store_priority or 0,
        timestamp_ms=message.get("ts"),
        clock_synced=bool(message.get("time_synced")),
        body=encode(message),
    )
