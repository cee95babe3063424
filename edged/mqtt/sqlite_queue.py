"""Messages on disk until the broker has them: a ring in SQLite, bounded by bytes and age. Used by one thread.

Upstream and downstream `keep`. Committed is on the disk (WAL with an fsync per commit): an alert is
rare and worth the write, and the weaker setting may take back the last commits when the power goes.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edged.errors import Retry

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSIONS = (0, 1)  # a new file, and this one's
ROW_OVERHEAD_BYTES = 64  # what a row costs beside its text, about
SCHEMA = """
CREATE TABLE IF NOT EXISTS kept (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice: what was added later has the larger number
    path TEXT NOT NULL,
    channel TEXT NOT NULL,
    priority INTEGER NOT NULL,
    at_ms INTEGER,  -- when it was true, UTC
    dated INTEGER NOT NULL,  -- whether the clock could be trusted then
    size INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS by_priority ON kept (priority);
CREATE INDEX IF NOT EXISTS by_age ON kept (at_ms);
PRAGMA user_version = 1;
"""
INSERT = "INSERT INTO kept (path, channel, priority, at_ms, dated, size, body) VALUES (?, ?, ?, ?, ?, ?, ?)"
SELECT_AFTER = "SELECT path, channel, priority, at_ms, dated, body, id FROM kept WHERE id > ? ORDER BY id LIMIT ?"
DELETE_IDS = "DELETE FROM kept WHERE id IN (SELECT value FROM json_each(?)) RETURNING size"
DELETE_EXPIRED = "DELETE FROM kept WHERE id > ? AND dated AND at_ms < ? RETURNING size"
DELETE_LEAST_IMPORTANT = """
DELETE FROM kept WHERE id = (SELECT id FROM kept WHERE id > ? ORDER BY priority, id LIMIT 1) RETURNING size
"""  # the oldest of those that matter least


class StoreUnavailable(Retry):
    """The file cannot be read or written now: full disk, read-only, in use."""


class StoreCorrupt(Retry):
    """The file is not what was written to it."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRow:
    """One message as it is kept."""

    path: str
    spec_name: str
    priority: int
    timestamp_ms: int | None
    clock_synced: bool = True  # whether at_ms can be trusted: nothing expires by a wrong clock
    body: bytes  # JSON
    id: int = 0  # given by the ring

    @property
    def size(self) -> int:
        return len(self.body) + len(self.path) + ROW_OVERHEAD_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """How much is kept, and for how long."""

    max_bytes: int
    max_age_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitResult:
    """What a commit did."""

    ids: list[int]  # of what was added, in order
    dropped: int  # for room
    expired: int


class SqliteQueue:
    """Rows in the order they came. `path` None: in memory. All but `close` may raise `RingLost` or `RingTorn`."""

    def __init__(self, path: Path | None, limits: QueueLimits) -> None:
        self.path = path
        self._limits = limits
        self._cursor = 0  # the last row handed out
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

    def commit(self, added: Iterable[QueueRow], removed: Iterable[int], now_ms: int) -> CommitResult:
        """Forget, add and trim in one commit."""
        before = self.rows, self.size_bytes
        try:
            with self._transaction():
                self._delete(DELETE_IDS, json.dumps(list(removed)))
                ids = [self._insert(row) for row in added]
                expired = self._delete(DELETE_EXPIRED, self._cursor, now_ms - self._limits.max_age_ms)
                dropped = self._make_room()
        except Retry:
            self.rows, self.size_bytes = before
            raise
        return CommitResult(ids=ids, dropped=dropped, expired=expired)

    def read_next(self, count: int) -> list[QueueRow]:
        """The rows after those handed out before."""
        rows = self._after(self._cursor, count)
        self._cursor = rows[-1].id if rows else self._cursor
        return rows

    def read_all(self) -> list[QueueRow]:
        return self._after(0, self.rows)

    def rewind(self) -> None:
        """Hand out everything again."""
        self._cursor = 0

    @property
    def oldest_ms(self) -> int | None:
        """When the oldest message was true, as far as the clock could be trusted; None when there is none."""
        with _translate_errors(self.path):
            oldest_ms: int | None = self._db.execute("SELECT min(at_ms) FROM kept").fetchone()[0]
        return oldest_ms

    def close(self) -> None:
        """What is in memory is gone then."""
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
                spec_name=channel,
                priority=priority,
                timestamp_ms=at_ms,
                clock_synced=bool(dated),
                body=body,
                id=row_id,
            )
            for path, channel, priority, at_ms, dated, body, row_id in found
        ]

    def _prepare(self) -> None:
        with _translate_errors(self.path):
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")  # one daemon, and no shared memory file to tear
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA wal_autocheckpoint = 64")
            self._db.execute("PRAGMA journal_size_limit = 1048576")
            verdict = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if verdict != "ok" or version not in VERSIONS:
                raise sqlite3.DatabaseError(f"quick check says {verdict}, of version {version}; want ok and {VERSIONS}")
            self._db.executescript(SCHEMA)
            total = self._db.execute("SELECT count(*), coalesce(sum(size), 0) FROM kept")
            self.rows, self.size_bytes = total.fetchone()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """One transaction: all of it, or nothing."""
        with _translate_errors(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def _insert(self, row: QueueRow) -> int:
        cursor = self._db.execute(
            INSERT, (row.path, row.spec_name, row.priority, row.timestamp_ms, row.clock_synced, row.size, row.body)
        )
        self.rows += 1
        self.size_bytes += row.size
        return cursor.lastrowid or 0

    def _delete(self, statement: str, *values: object) -> int:
        sizes = self._db.execute(statement, values).fetchall()
        self.rows -= len(sizes)
        self.size_bytes -= sum(size for (size,) in sizes)
        return len(sizes)

    def _make_room(self) -> int:
        """Drop what matters least, oldest first. What was handed out stays: it may be there already."""
        dropped = 0
        while self.size_bytes > self._limits.max_bytes and self._delete(DELETE_LEAST_IMPORTANT, self._cursor):
            dropped += 1
        return dropped


def quarantine_file(path: Path) -> None:
    """Make place for a new file; the torn one stays beside it for whoever wants to look. Raises `RingLost`."""
    try:
        for suffix in ("-wal", ""):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.replace(path.with_name(f"{path.name}.torn{suffix}"))
    except OSError as exc:
        raise StoreUnavailable(f"{path}: {exc.strerror}") from exc


@contextmanager
def _translate_errors(path: Path | None) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as exc:  # disk full, read-only, no such folder, locked
        raise StoreUnavailable(f"{path}: {exc}") from exc
    except sqlite3.DatabaseError as exc:  # not a database, malformed
        raise StoreCorrupt(path or Path(), str(exc)) from exc
