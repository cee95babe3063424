"""The ring on disk, and one in memory for as long as the disk cannot be written. Used by one thread.

Upstream and downstream `keep`. What happens to the file is said once going and once returning, and never fatal.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from edged.mqtt.send_queue import StoreId
from edged.mqtt.sqlite_queue import QueueLimits, QueueRow, SqliteQueue, StoreCorrupt, StoreUnavailable, quarantine_file
from edged.units import NS_PER_MS

log = logging.getLogger(__name__)

RETRY_S = 2.0  # between attempts at a file that could not be written
MEMORY = 0  # number of the ring in memory; files count from 1


class FailoverStore:
    """Rows in the order they came, those on disk before those in memory. `path` None: memory alone."""

    def __init__(self, path: Path | None, bounds: QueueLimits) -> None:
        self._path = path
        self._bounds = bounds
        self._memory = SqliteQueue(None, bounds)
        self._disk: SqliteQueue | None = None
        self._file_no = 1
        self._lost = False
        self._retry_s = 0.0
        self.carried = self.dropped = self.expired = 0  # rows: of an earlier life, for room, for age
        self.torn = 0  # files
        if path is not None and path.exists():
            self._open(path)  # what an earlier life left there

    @property
    def rows(self) -> int:
        return self._memory.rows + (self._disk.rows if self._disk else 0)

    @property
    def size_bytes(self) -> int:
        return self._memory.size_bytes + (self._disk.size_bytes if self._disk else 0)

    @property
    def durable(self) -> bool:
        """Whether what is put here now would survive a power cut."""
        return self._path is not None and not self._lost

    @property
    def oldest_ms(self) -> int | None:
        try:
            times = [ring.oldest_ms for _, ring in self._rings]
        except (StoreUnavailable, StoreCorrupt):
            return None
        return min((t for t in times if t is not None), default=None)

    def put(self, rows: Sequence[QueueRow], gone: Collection[StoreId]) -> tuple[list[StoreId], set[StoreId]]:
        """Add and forget. Returns where the new rows are, and which of the gone are no longer there."""
        if self._path is not None and self._disk is None and rows:
            self._open(self._path)
        added = self._put(self._disk, self._file_no, rows, gone) if self._disk and not self._lost else None
        if added is None or self._memory.rows:
            in_memory = self._put(self._memory, MEMORY, rows if added is None else (), gone)
            added = in_memory if added is None else added
        left = {receipt for receipt in gone if self._lost and receipt.file_no == self._file_no}
        return added or [], set(gone) - left

    def next(self, count: int) -> list[tuple[StoreId, QueueRow]]:
        """The rows after those handed out before."""
        found: list[tuple[StoreId, QueueRow]] = []
        for number, ring in self._rings:
            try:
                rows = ring.read_next(count - len(found))
            except StoreUnavailable as lost:
                self._lose(lost)
                self._leave(ring)
            except StoreCorrupt as torn:
                self._quarantine(torn, ring)
            else:
                found += [(StoreId(file_no=number, row=row.id), row) for row in rows]
        return found

    def rewind(self) -> None:
        """Hand out everything again."""
        for _, ring in self._rings:
            ring.rewind()

    @property
    def mending(self) -> bool:
        """Whether it is time to try the file again."""
        return self._lost and time.monotonic() > self._retry_s

    def mend(self) -> None:
        """Move what waits in memory to the file, if that works. Begin again with `rewind` after it."""
        self._retry_s = time.monotonic() + RETRY_S
        if self._disk is None and self._path is not None:
            self._open(self._path)
        rows = self._memory.read_all()
        if self._disk is None or self._put(self._disk, self._file_no, rows, ()) is None:
            return
        self._memory.close()
        self._memory = SqliteQueue(None, self._bounds)
        self._lost = False
        log.info("%s: written again; %d messages moved there from memory", self._path, len(rows))

    def close(self) -> None:
        """What is only in memory is lost now."""
        self.dropped += self._memory.rows
        for _, ring in self._rings:
            ring.close()

    @property
    def _rings(self) -> list[tuple[int, SqliteQueue]]:
        return [*([(self._file_no, self._disk)] if self._disk else []), (MEMORY, self._memory)]

    def _put(
        self, ring: SqliteQueue, number: int, rows: Sequence[QueueRow], gone: Collection[StoreId]
    ) -> list[StoreId] | None:
        try:
            done = ring.commit(rows, [receipt.row for receipt in gone if receipt.file_no == number], _now_ms())
        except StoreUnavailable as lost:
            self._lose(lost)
        except StoreCorrupt as torn:
            self._quarantine(torn, ring)
        else:
            self.dropped += done.dropped
            self.expired += done.expired
            return [StoreId(file_no=number, row=row) for row in done.ids]
        return None

    def _open(self, path: Path) -> None:
        try:
            self._disk = SqliteQueue(path, self._bounds)
        except StoreUnavailable as lost:
            self._lose(lost)
        except StoreCorrupt as torn:
            self._quarantine(torn, None)
        else:
            self.carried += self._disk.rows

    def _leave(self, ring: SqliteQueue) -> None:
        """A file that cannot even be read is opened anew when that works."""
        self.carried -= ring.rows
        ring.close()
        self._disk = None

    def _lose(self, lost: StoreUnavailable) -> None:
        self._retry_s = time.monotonic() + RETRY_S
        if not self._lost:
            self._lost = True
            log.warning("%s; messages that must survive wait in memory; make room, or let this user write there", lost)

    def _quarantine(self, torn: StoreCorrupt, ring: SqliteQueue | None) -> None:
        """The next message starts a new file."""
        self.torn += 1
        self._file_no += 1
        log.error("%s; it is set aside under .torn, and what was in it is lost", torn)
        if ring is not None:
            self.dropped += ring.rows
            ring.close()
        self._disk = None
        try:
            quarantine_file(torn.path)
        except StoreUnavailable as lost:
            self._lose(lost)


def _now_ms() -> int:
    return time.time_ns() // NS_PER_MS
