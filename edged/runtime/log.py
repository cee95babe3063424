"""Where log lines go: to systemd's journal with fields to select by, else to stderr; the last ones stay in memory.

`journalctl EDGED_CAMERA=stall1` selects. Where systemd-python is absent, the journal has what stderr gets.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import nullcontext

from edged.secret_address import redact

try:
    from systemd import journal
except ImportError:  # an extra
    journal = None

log = logging.getLogger(__name__)

RECENT_LINES = 300  # lines kept for `diagnose`
MAX_LINE_CHARS = 2000  # of a line in memory, tracebacks too
SYSLOG_PRIORITY = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}  # syslog(3)
# What a line begins with, and the field that gets the name after it.
SUBJECTS = {"camera": "EDGED_CAMERA", "engine of": "EDGED_MODEL", "model": "EDGED_MODEL", "command": "EDGED_COMMAND"}
SUBJECT = re.compile(rf"({'|'.join(SUBJECTS)}) %s\b")


class RedactingFormatter(logging.Formatter):
    """Every line and traceback with addresses cut down to scheme, host and port."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class LogLimit:
    """How often one kind of line, which another machine can cause, is logged. One thread at a time."""

    def __init__(self, lines: int, period_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._lines = lines  # in each period
        self._period_s = period_s
        self._clock = clock
        self._since_s = -period_s
        self._count = 0

    def allow(self) -> bool:
        """Whether this line may be logged."""
        if self._clock() - self._since_s >= self._period_s:
            self._since_s, self._count = self._clock(), 0
        self._count += 1
        return self._count <= self._lines

    @property
    def last(self) -> bool:
        """Whether the line that was allowed is the last one of its period."""
        return self._count == self._lines


class RecentLines(logging.Handler):
    """The last lines, for the command `diagnose`. Fixed memory. Any thread."""

    def __init__(self, lines: int = RECENT_LINES) -> None:
        super().__init__()
        self._lines: deque[str] = deque(maxlen=lines)
        self.setFormatter(RedactingFormatter("%(asctime)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record)[:MAX_LINE_CHARS])

    @property
    def lines(self) -> list[str]:
        """Oldest first."""
        with self.lock or nullcontext():
            return list(self._lines)


def set_up(handler: logging.Handler, level: int = logging.INFO, *, recent_lines: RecentLines | None = None) -> None:
    """Send all lines to `handler`, with the time unless it has a format of its own, and to `recent_lines`."""
    if handler.formatter is None:
        handler.setFormatter(RedactingFormatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=level, handlers=[handler, *([recent_lines] if recent_lines else [])], force=True)


class JournalHandler(logging.Handler):
    """One entry of the journal per record. Any thread."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(RedactingFormatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        fields = {
            "PRIORITY": str(SYSLOG_PRIORITY.get(record.levelname, 5)),
            "SYSLOG_IDENTIFIER": "edged",
            "CODE_FILE": record.pathname,
            "CODE_LINE": record.lineno,
            "EDGED_LOGGER": record.name,
            "EDGED_THREAD": record.threadName or "",
        }
        subject = SUBJECT.match(str(record.msg))
        if subject and isinstance(record.args, tuple) and record.args:
            fields[SUBJECTS[subject[1]]] = str(record.args[0])
        try:
            journal.send(self.format(record), **fields)
        except OSError:
            self.handleError(record)  # to stderr, which goes to the journal too


def journal_handler(environ: Mapping[str, str], stderr_fd: int = 2) -> JournalHandler | None:
    """The journal, where stderr goes there; None elsewhere. Source: systemd.exec(5), $JOURNAL_STREAM."""
    stderr = os.fstat(stderr_fd)
    if environ.get("JOURNAL_STREAM") != f"{stderr.st_dev}:{stderr.st_ino}":
        return None
    if journal is None:
        log.warning("the journal gets lines without fields; for these: apt-get install python3-systemd")
        return None
    return JournalHandler()
