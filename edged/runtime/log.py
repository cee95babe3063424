"""How log lines look: with a priority in front for the journal, with a time for people."""

from __future__ import annotations

import logging
from collections import deque
from contextlib import nullcontext

SYSLOG_PRIORITY = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}  # syslog(3)
MAX_LINE_CHARS = 2000  # characters of a remembered line, tracebacks too


class JournalFormatter(logging.Formatter):
    """`<4>camera stall1: lost`, as sd-daemon(3) describes."""

    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{SYSLOG_PRIORITY.get(record.levelname, 5)}>"
        return "\n".join(prefix + line for line in super().format(record).splitlines())


class RecentLines(logging.Handler):
    """The last lines, for a technician who cannot see the journal. Fixed memory."""

    def __init__(self, lines: int = 300) -> None:
        super().__init__()
        self._lines: deque[str] = deque(maxlen=lines)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record)[:MAX_LINE_CHARS])

    @property
    def lines(self) -> list[str]:
        """Oldest first."""
        with self.lock or nullcontext():
            return list(self._lines)


def set_up(handler: logging.Handler, level: int = logging.INFO, *, recent_lines: RecentLines | None = None) -> None:
    """Send everything to `handler`, which is read by people unless it has a form of its own, and to `recent_lines`."""
    if handler.formatter is None:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=level, handlers=[handler, *([recent_lines] if recent_lines else [])], force=True)
