"""Messages that must survive an outage: written to disk before they are sent, deleted once the broker has them.

Upstream: `put`, from any thread, never waits. Downstream: the MQTT thread, which gets them in order and reports each
result. A thread of its own does all reading and writing; while the file cannot be written, messages wait in memory.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edged.messages.topics import Priority, Topic
from edged.mqtt import sqlite_queue
from edged.mqtt.held_messages import HeldMessages, SendResult
from edged.mqtt.queue_state import QueueState, Unwritten
from edged.mqtt.send_queue import DeliveryCounts, MessageCounter, OutgoingMessage, StoreId
from edged.mqtt.sqlite_queue import QueueLimits, QueueRow, SqliteQueue, StoreCorrupt, StoreUnavailable
from edged.runtime.threads import SupervisedThread
from edged.units import MS_PER_S

log = logging.getLogger(__name__)

MAX_UNWRITTEN = 1024  # messages; only a disk that hangs lets so many wait to be written
MAX_IN_FLIGHT = 10  # messages: half of what a broker takes by default, the rest is for live ones
WINDOW_INTERVAL_S = 0.1  # between two windows of older messages
DELETE_INTERVAL_S, TRIM_INTERVAL_S = 1.0, 60.0  # delivered messages are deleted this often, and expired ones
RETRY_DISK_S, CLOSE_TIMEOUT_S = 2.0, 2.0  # between attempts at a file that cannot be written; for the thread to end
MEMORY = 0  # file number of the queue in memory; files count from 1


class PersistentQueue:
    """A queue on disk. Each connection begins with all that is in it, oldest first.

    Every count is changed under one lock, so that they balance at every read (see `DeliveryCounts`).
    `_step`, and what it calls, runs in the queue's own thread.
    """

    def __init__(
        self,
        path: Path | None,
        limits: QueueLimits,
        make_message: Callable[[Topic, Mapping[str, Any] | bytes], OutgoingMessage],
        wake: Callable[[], None],
    ) -> None:
        """`path` None: in memory only. `wake` is called when there is something to get."""
        self._path = path
        self._limits = limits
        self._make_message = make_message
        self._wake = wake
        self._changed = threading.Condition()  # its lock guards all that follows
        self._state = QueueState.OFFLINE
        self._rewind = False  # read the store from its beginning again
        self._unwritten: deque[Unwritten] = deque()
        self._calls: deque[Callable[[], None]] = deque()
        self._writing: list[Unwritten] = []
        self._ready: deque[tuple[QueueRow, OutgoingMessage]] = deque()
        self._in_flight: dict[StoreId, QueueRow] = {}
        self._held = HeldMessages()
        self._done: set[StoreId] = set()  # delivered or given up, not yet deleted
        self._new: set[StoreId] = set()  # put during this connection, not yet handed out
        self._counter = MessageCounter()
        self._delete_now = False  # at least one of `_done`
        self._corrupt_files = self._size_bytes = 0
        self._oldest_ms: int | None = None
        # Of the queue's own thread.
        self._memory = SqliteQueue(None, limits, MEMORY)
        self._disk: SqliteQueue | None = None
        self._file_no, self._disk_failed = 1, False
        self._unreadable_rows = 0  # in a file that was closed because it could not even be read
        self._retry_disk_s = self._next_window_s = self._committed_s = -math.inf
        if path is not None and path.exists():
            self._open(path)
        self._thread = SupervisedThread("store", self._step)
        self._thread.start()

    def put(self, topic: Topic, message: Mapping[str, Any]) -> None:
        """An empty one clears what the broker retains. Raises ValueError for what is not JSON. Thread: any."""
        row = QueueRow.of(topic, message)
        with self._changed:
            self._counter.accept()
            if self._state is QueueState.CLOSED:
                self._counter.finish("dropped")
                return
            self._unwritten.append(Unwritten(row, new=self._state is not QueueState.OFFLINE))
            if len(self._unwritten) > MAX_UNWRITTEN:
                self._unwritten.remove(min(self._unwritten, key=lambda waiting: waiting.row.priority))
                self._counter.finish("dropped")
            self._changed.notify()

    def call(self, function: Callable[[], None]) -> None:
        """Have this queue's thread call it, as it may wait for the disk. Thread: any."""
        with self._changed:
            self._calls.append(function)
            self._changed.notify()

    def connected(self) -> None:
        """Begin to hand out what is stored."""
        with self._changed:
            if self._state is QueueState.OFFLINE:
                self._held.connected()
                self._enter(QueueState.DRAINING)

    def disconnected(self) -> None:
        """Messages without a result are handed out again at the next connection."""
        with self._changed:
            if self._state in (QueueState.DRAINING, QueueState.LIVE):
                self._enter(QueueState.OFFLINE)

    def get(self) -> OutgoingMessage | None:
        """The next message to send, None when there is none now. `done` must follow while the connection lasts."""
        with self._changed:
            if not self._ready:
                return None
            row, message = self._ready.popleft()
            self._in_flight[row.store_id] = row
            return replace(message, store_id=row.store_id)

    def done(self, store_id: StoreId, result: SendResult) -> None:
        """Record the result of a message. Unless it was published or failed, it stays and is sent again later."""
        with self._changed:
            if (row := self._in_flight.pop(store_id, None)) is None:
                return
            self._held.record(row, result)
            if result == "published" or result == "failed":  # noqa: PLR1714  mypy narrows by this
                self._done.add(store_id)
                self._counter.finish(result)
            if result == "published":
                self._counter.acknowledge()
                self._delete_now |= row.priority == Priority.HIGH  # a kill would have it sent once more
            if self._delete_now or not (self._in_flight or self._ready):
                self._changed.notify()

    def verified(self) -> None:
        """Send what was `unverified` once more: what arrives at the broker can be seen again."""
        with self._changed:
            self._held.verified()

    @property
    def idle(self) -> bool:
        """Whether nothing is being written or sent."""
        with self._changed:
            busy = self._state is QueueState.DRAINING or self._unwritten or self._writing
            return not (busy or self._ready or self._in_flight)

    @property
    def counts(self) -> DeliveryCounts:
        """What became of every message, at one instant."""
        with self._changed:
            return self._counter.counts

    @property
    def stats(self) -> dict[str, Any]:
        """For `health`: what waits, how old it is, and whether it survives a power cut once written."""
        with self._changed:
            rows = self._counter.counts.waiting
            age_ms = None if self._oldest_ms is None or not rows else max(0, sqlite_queue.now_ms() - self._oldest_ms)
            return {
                "messages": rows,
                "unwritten": len(self._unwritten) + len(self._writing),
                "bytes": self._size_bytes,
                "oldest_s": None if age_ms is None else round(age_ms / MS_PER_S),
                "durable": self._path is not None and not self._disk_failed,
                "corrupt_files": self._corrupt_files,
            }

    def close(self) -> None:
        """Write what is not written yet. What is only in memory is dropped."""
        with self._changed:
            self._enter(QueueState.CLOSED)
        self._thread.wake()
        self._thread.join(CLOSE_TIMEOUT_S)
        self._thread.stop()

    def _enter(self, state: QueueState) -> None:  # under the lock
        self._state = state
        self._take_back()
        self._new.clear()
        for waiting in (*self._unwritten, *self._writing):
            waiting.new = False
        self._changed.notify()

    def _take_back(self) -> None:  # under the lock
        """Forget what was handed out; it is read again."""
        self._in_flight.clear()
        self._ready.clear()
        self._rewind = True

    def _step(self) -> float | None:
        """Wait until there is something to do, and do it. Returns seconds until the next step; None: the last."""
        with self._changed:
            draining = self._state is QueueState.DRAINING
            self._changed.wait_for(self._has_work, WINDOW_INTERVAL_S if draining else DELETE_INTERVAL_S)
        while self._calls:
            self._calls.popleft()()
        self._rewind_if_due()
        interval_s = DELETE_INTERVAL_S if self._done else TRIM_INTERVAL_S
        if self._unwritten or self._delete_now or time.monotonic() > self._committed_s + interval_s:
            self._commit()
        self._return_to_disk()
        self._hand_out()
        if self._state is not QueueState.CLOSED:
            return 0.0
        self._commit()
        self._close_files()
        return None

    def _has_work(self) -> bool:
        if self._state is QueueState.CLOSED or self._unwritten or self._delete_now or self._rewind or self._calls:
            return True
        starved = self._state is QueueState.DRAINING and not (self._ready or self._in_flight)
        return starved and time.monotonic() > self._next_window_s

    def _rewind_if_due(self) -> None:
        with self._changed:
            retry_due = self._held.retry_due and not (self._ready or self._in_flight)
            if not self._rewind and not retry_due:
                return
            self._rewind = False
            self._held.reread()
            if self._state is QueueState.LIVE:
                self._state = QueueState.DRAINING
        for queue in self._queues:
            queue.rewind()
        self._next_window_s = -math.inf

    @property
    def _queues(self) -> list[SqliteQueue]:
        """In the order of their messages."""
        return [*([self._disk] if self._disk else []), self._memory]

    def _commit(self) -> None:
        """Write what is new, delete what is done, and trim."""
        with self._changed:
            if not self._writing:  # else the attempt before ended in an error
                self._writing = list(self._unwritten)
                self._unwritten.clear()
            done, self._delete_now = set(self._done), False
        rows = [waiting.row for waiting in self._writing]
        if rows and self._path is not None and self._disk is None and not self._disk_failed:
            self._open(self._path)
        ids = self._commit_to(self._disk, rows, done) if self._disk and not self._disk_failed else None
        if ids is None or self._memory.rows:
            in_memory = self._commit_to(self._memory, rows if ids is None else (), done)
            ids = in_memory if ids is None else ids
        self._committed_s = time.monotonic()
        self._measure()
        with self._changed:
            self._new |= {store_id for store_id, waiting in zip(ids or (), self._writing, strict=True) if waiting.new}
            if self._writing and self._state is QueueState.LIVE:
                self._state = QueueState.DRAINING
            self._writing = []

    def _commit_to(self, queue: SqliteQueue, rows: Sequence[QueueRow], done: set[StoreId]) -> list[StoreId] | None:
        """Where the rows are now; None when they could not be written."""
        try:
            result = queue.commit(rows, done)
        except StoreUnavailable as error:
            self._suspend_disk(error)
            return None
        except StoreCorrupt as error:
            self._quarantine(error, queue.rows)
            return None
        with self._changed:
            self._counter.finish("dropped", result.dropped)
            self._counter.finish("expired", result.expired)
            self._done -= {store_id for store_id in done if store_id.file_no == queue.file_no}
        return result.ids

    def _measure(self) -> None:
        oldest_ms = [at_ms for queue in self._queues if (at_ms := queue.oldest_ms) is not None]
        with self._changed:
            self._oldest_ms = min(oldest_ms, default=None)
            self._size_bytes = sum(queue.size_bytes for queue in self._queues)

    def _hand_out(self) -> None:
        """Make the next messages ready: new ones at once, older ones window by window."""
        with self._changed:
            room = MAX_IN_FLIGHT - len(self._ready) - len(self._in_flight)
            due = room > 0 and time.monotonic() >= self._next_window_s
            if not due or self._state is not QueueState.DRAINING or self._rewind:
                return
        rows = self._read(room)
        messages = self._messages(rows)
        with self._changed:
            if self._rewind:  # the connection changed meanwhile
                return
            ids = {row.store_id for row in rows}
            if messages and ids - self._new:
                self._next_window_s = time.monotonic() + WINDOW_INTERVAL_S
            self._new -= ids
            self._ready.extend(messages)
            if len(rows) < room:
                self._state = QueueState.LIVE
                self._new.clear()
        self._wake()

    def _read(self, count: int) -> list[QueueRow]:
        """The rows after those read before."""
        rows: list[QueueRow] = []
        for queue in self._queues:
            try:
                rows += queue.read_next(count - len(rows))
            except StoreUnavailable as error:  # to be opened anew
                self._suspend_disk(error)
                self._unreadable_rows = queue.rows
                queue.close()
                self._disk = None
            except StoreCorrupt as error:
                self._quarantine(error, queue.rows)
        return rows

    def _messages(self, rows: Sequence[QueueRow]) -> list[tuple[QueueRow, OutgoingMessage]]:
        """Those that are not done or held. One of a kind that this version does not know fails."""
        with self._changed:
            waiting = [row for row in rows if row.store_id not in self._done and self._held.passes(row)]
            unknown, new = {row.store_id for row in waiting if row.topic is None}, set(self._new)
            self._done |= unknown
            self._counter.finish("failed", len(unknown))
        return [
            (row, self._make_message(topic, row.message(stored=row.store_id not in new)))
            for row in waiting
            if (topic := row.topic) is not None
        ]

    def _open(self, path: Path) -> None:
        try:
            self._disk = SqliteQueue(path, self._limits, self._file_no)
        except StoreUnavailable as error:
            self._suspend_disk(error)
        except StoreCorrupt as error:
            self._quarantine(error, self._unreadable_rows)
        else:
            with self._changed:
                self._counter.accept(max(0, self._disk.rows - self._unreadable_rows))
                self._counter.finish("dropped", max(0, self._unreadable_rows - self._disk.rows))
            self._unreadable_rows = 0

    def _suspend_disk(self, error: StoreUnavailable) -> None:
        """Go on in memory."""
        self._retry_disk_s = time.monotonic() + RETRY_DISK_S
        if not self._disk_failed:
            self._disk_failed = True
            log.warning("%s; messages to be stored wait in memory", error)

    def _return_to_disk(self) -> None:
        """Move what waits in memory to the file, at a moment when none of it is being sent."""
        to_do = self._disk is None or self._memory.rows  # with nothing to write, a full disk would seem to have room
        if not (self._disk_failed and to_do) or self._path is None or time.monotonic() < self._retry_disk_s:
            return
        with self._changed:
            if self._in_flight or any(store_id.file_no == MEMORY for store_id in self._done):
                return
            self._take_back()
        self._retry_disk_s = time.monotonic() + RETRY_DISK_S
        if self._disk is None:
            self._open(self._path)
        if self._disk is None or self._commit_to(self._disk, rows := self._memory.read_all(), set()) is None:
            return
        self._memory.close()
        self._memory = SqliteQueue(None, self._limits, MEMORY)
        self._disk_failed = False
        log.info("%s: written again; %d messages moved there from memory", self._path, len(rows))

    def _quarantine(self, error: StoreCorrupt, rows: int) -> None:
        """Set the file aside with its messages; the next message starts a new one."""
        log.error("%s; it is set aside as .corrupt, and the messages in it are lost", error)
        with self._changed:
            deleted = {store_id for store_id in self._done if store_id.file_no == self._file_no}
            self._done -= deleted
            self._counter.finish("dropped", rows - len(deleted))
            self._take_back()
            self._corrupt_files += 1
        self._file_no, self._unreadable_rows = self._file_no + 1, 0
        if self._disk is not None:
            self._disk.close()
            self._disk = None
        try:
            sqlite_queue.quarantine_file(error.path)
        except StoreUnavailable as unavailable:
            self._suspend_disk(unavailable)

    def _close_files(self) -> None:
        """What is only in memory is lost."""
        with self._changed:
            self._counter.finish("dropped", self._memory.rows - sum(one.file_no == MEMORY for one in self._done))
        for queue in self._queues:
            queue.close()
