"""Messages in an SQLite file until the broker has them, bounded by bytes and age.

Upstream and downstream: `persistent_queue`. A commit is on the disk when it returns (WAL, one fsync each): alerts are
rare and worth the write, while `synchronous = NORMAL` may lose the last commits in a power cut.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edged.errors import Retry
from edged.messages.build import encode
from edged.messages.topics import ALERT, TOPIC_SPECS, Topic
from edged.mqtt.send_queue import StoreId
from edged.units import NS_PER_MS

VERSIONS = (0, 2)  # of a new file, and of this schema
MAX_RECENT = 256  # ids that are remembered, so that a message that is put again is not stored again
ROW_OVERHEAD_BYTES = 64  # what a row costs besides its text, about
NOT_STORED = StoreId(0, 0)
SPEC_BY_NAME = {spec.name: spec for spec in TOPIC_SPECS}
SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice: a later row has a larger one
    path TEXT NOT NULL,
    spec TEXT NOT NULL,
    priority INTEGER NOT NULL,
    timestamp_ms INTEGER,  -- UTC
    clock_synced INTEGER NOT NULL,
    size INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS by_priority ON message (priority);
CREATE INDEX IF NOT EXISTS by_age ON message (timestamp_ms);
CREATE TABLE IF NOT EXISTS recent (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE);
PRAGMA user_version = 2;
"""
COLUMNS = "path, spec, priority, timestamp_ms, clock_synced, body"
INSERT = f"INSERT INTO message ({COLUMNS}, size) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
SUPERSEDED = """EXISTS (SELECT 1 FROM message later WHERE later.id > message.id AND later.path = message.path AND
    json_extract(CAST(later.body AS TEXT), '$.alert_id') IS json_extract(CAST(message.body AS TEXT), '$.alert_id'))"""
SELECT_AFTER = f"SELECT {COLUMNS}, {SUPERSEDED}, id FROM message WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608
INSERT_RECENT = "INSERT OR IGNORE INTO recent (id) VALUES (?)"
DELETE_RECENT = "DELETE FROM recent WHERE number <= (SELECT max(number) FROM recent) - ?"
SELECT_OLDEST = "SELECT min(timestamp_ms) FROM message"
SELECT_TOTAL = "SELECT count(*), coalesce(sum(size), 0) FROM message"
DELETE_IDS = "DELETE FROM message WHERE id IN (SELECT value FROM json_each(?)) RETURNING size"
DELETE_EXPIRED = "DELETE FROM message WHERE id > ? AND clock_synced AND timestamp_ms < ? RETURNING size"
DELETE_LEAST_IMPORTANT = """
DELETE FROM message WHERE id = (SELECT id FROM message WHERE id > ? ORDER BY priority, id LIMIT 1) RETURNING size
"""


class StoreUnavailable(Retry):
    """The file cannot be read or written now: full disk, read-only, in use."""


class StoreCorrupt(Retry):
    """The file is not what was written to it."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRow:
    """One message as it is stored."""

    path: str  # of its `Topic`
    spec_name: str  # of its `TopicSpec`
    priority: int  # the lowest is dropped first
    timestamp_ms: int | None  # `ts` of the message, UTC
    clock_synced: bool = True  # whether `timestamp_ms` can be trusted: a message never expires by a wrong clock
    body: bytes  # JSON; `{}` is no message: what the broker retains is cleared
    message_id: str | None = None  # of a new alert: after a kill it may be put again
    superseded: bool = False  # a later row has the same topic and, of alerts, the same alert
    store_id: StoreId = NOT_STORED

    @staticmethod
    def of(topic: Topic, message: Mapping[str, Any]) -> QueueRow:
        """Raises ValueError for what is not JSON."""
        return QueueRow(
            path=topic.path,
            spec_name=topic.spec.name,
            priority=topic.spec.store_priority or 0,
            timestamp_ms=message.get("ts"),
            clock_synced=bool(message.get("time_synced")),
            body=encode(message),
            message_id=message.get("id") if topic.spec is ALERT else None,
        )

    @property
    def topic(self) -> Topic | None:
        """None: of a kind that this version does not know."""
        spec = SPEC_BY_NAME.get(self.spec_name)
        return None if spec is None else Topic(path=self.path, spec=spec)

    def message(self, *, stored: bool) -> dict[str, Any] | bytes:
        """No bytes for an empty one; with `stored` it says that it was sent late, and whether it was superseded."""
        body: dict[str, Any] = json.loads(self.body)
        late = {"stored": True, **({"superseded": True} if self.superseded else {})}
        return {**body, **(late if stored else {})} if body else b""

    @property
    def size(self) -> int:
        return len(self.body) + len(self.path) + ROW_OVERHEAD_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """How much is stored, and for how long."""

    max_bytes: int
    max_age_ms: int
    clock_synced: Callable[[], bool] = lambda: True  # False: no message expires, for the clock may be ahead by years


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitResult:
    """What a commit did."""

    ids: list[StoreId]  # of the rows that were added, in order; NOT_STORED: its message had been put before
    dropped: int  # rows, for room, and messages put before
    expired: int  # rows


class SqliteQueue:
    """Rows in the order they were added. `path` None: in memory. Thread: one at a time.

    All but `close` and `oldest_ms` raise StoreUnavailable or StoreCorrupt; in memory they raise neither.
    """

    def __init__(self, path: Path | None, limits: QueueLimits, file_no: int = 1) -> None:
        """`file_no` tells this file's rows from those of others."""
        self.path = path
        self.file_no = file_no
        self._limits = limits
        self._cursor = 0  # id of the last row that was read
        self.rows = self.size_bytes = 0
        with _translate_errors(path):
            self._db = sqlite3.connect(
                path or ":memory:", isolation_level=None, check_same_thread=False, timeout=0.2, cached_statements=16
            )
        try:
            self._prepare()
        except Retry:
            self.close()
            raise

    def commit(self, added: Iterable[QueueRow], removed: Iterable[StoreId]) -> CommitResult:
        """Delete, add and trim in one transaction. Rows of other files are left out of `removed`."""
        before = self.rows, self.size_bytes
        try:
            with self._transaction():
                self._delete(DELETE_IDS, json.dumps([row for file_no, row in removed if file_no == self.file_no]))
                ids = [self._insert(row) for row in added]
                self._db.execute(DELETE_RECENT, (MAX_RECENT,))
                expired = self._expire() if self._limits.clock_synced() else 0
                dropped = self._make_room()
        except Retry:
            self.rows, self.size_bytes = before
            raise
        return CommitResult(ids=ids, dropped=dropped + ids.count(NOT_STORED), expired=expired)

    def read_next(self, count: int) -> list[QueueRow]:
        """The rows after those read before. They are not trimmed any more: they may have been sent."""
        rows = self._after(self._cursor, count)
        self._cursor = rows[-1].store_id.row if rows else self._cursor
        return rows

    def read_all(self) -> list[QueueRow]:
        """All rows; `read_next` goes on where it was."""
        return self._after(0, self.rows)

    def rewind(self) -> None:
        """Let `read_next` begin with the first row again."""
        self._cursor = 0

    @property
    def oldest_ms(self) -> int | None:
        """Timestamp of the oldest message, UTC; None when there is none, or the file cannot be read."""
        try:
            oldest_ms: int | None = self._db.execute(SELECT_OLDEST).fetchone()[0]
        except sqlite3.Error:
            return None
        return oldest_ms

    def close(self) -> None:
        """Rows in memory are lost."""
        with suppress(sqlite3.Error):
            self._db.close()
        if self.path is None:
            self.rows = self.size_bytes = 0

    def _after(self, row_id: int, count: int) -> list[QueueRow]:
        with _translate_errors(self.path):
            found = self._db.execute(SELECT_AFTER, (row_id, count)).fetchall()
        return [
            QueueRow(
                path=path,
                spec_name=spec,
                priority=priority,
                timestamp_ms=timestamp_ms,
                clock_synced=bool(clock_synced),
                body=body,
                superseded=bool(superseded),
                store_id=StoreId(self.file_no, row_id),
            )
            for path, spec, priority, timestamp_ms, clock_synced, body, superseded, row_id in found
        ]

    def _prepare(self) -> None:
        with _translate_errors(self.path):
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")  # one daemon; no shared memory file
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA wal_autocheckpoint = 64")
            self._db.execute("PRAGMA journal_size_limit = 1048576")
            check = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if check != "ok" or version not in VERSIONS:
                raise sqlite3.DatabaseError(f"quick_check: {check}, version {version}; want ok and one of {VERSIONS}")
            self._db.executescript(SCHEMA)
            self.rows, self.size_bytes = self._db.execute(SELECT_TOTAL).fetchone()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of it is written, or nothing."""
        with _translate_errors(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def _insert(self, row: QueueRow) -> StoreId:
        if row.message_id is not None and not self._db.execute(INSERT_RECENT, (row.message_id,)).rowcount:
            return NOT_STORED
        values = (row.path, row.spec_name, row.priority, row.timestamp_ms, row.clock_synced, row.body, row.size)
        cursor = self._db.execute(INSERT, values)
        self.rows += 1
        self.size_bytes += row.size
        return StoreId(self.file_no, cursor.lastrowid or 0)

    def _delete(self, statement: str, *values: object) -> int:
        sizes = self._db.execute(statement, values).fetchall()
        self.rows -= len(sizes)
        self.size_bytes -= sum(size for (size,) in sizes)
        return len(sizes)

    def _expire(self) -> int:
        return self._delete(DELETE_EXPIRED, self._cursor, now_ms() - self._limits.max_age_ms)

    def _make_room(self) -> int:
        """Drop the rows of the lowest priority, oldest first. Rows that were read stay. Returns how many went."""
        dropped = 0
        while self.size_bytes > self._limits.max_bytes and self._delete(DELETE_LEAST_IMPORTANT, self._cursor):
            dropped += 1
        return dropped


def now_ms() -> int:
    """UTC."""
    return time.time_ns() // NS_PER_MS


def quarantine_file(path: Path) -> None:
    """Rename the file to `NAME.corrupt`, for examination. Raises StoreUnavailable."""
    try:
        for suffix in ("-wal", ""):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.replace(path.with_name(f"{path.name}.corrupt{suffix}"))
    except OSError as exc:
        raise StoreUnavailable(f"{path}: {exc.strerror}") from exc


@contextmanager
def _translate_errors(path: Path | None) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as exc:
        if path is None:
            raise
        if isinstance(exc, sqlite3.OperationalError):  # disk full, read-only, no such folder, locked
            locked = "locked" in str(exc)
            do = "stop the process that has it open" if locked else "make room, or let this user write there"
            raise StoreUnavailable(f"{path}: {exc}; {do}") from exc
        raise StoreCorrupt(path, str(exc)) from exc  # not a database, malformed
