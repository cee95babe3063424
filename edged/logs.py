"""How log lines look: with a priority in front for the journal, with a time for people."""

from __future__ import annotations

import logging
from collections import deque
from contextlib import nullcontext

PRIORITY = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}  # syslog(3)
LONGEST = 2000  # characters of a remembered line, tracebacks too


class JournalFormatter(logging.Formatter):
    """`<4>camera stall1: lost`, as sd-daemon(3) describes."""

    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{PRIORITY.get(record.levelname, 5)}>"
        return "\n".join(prefix + line for line in super().format(record).splitlines())


class Recent(logging.Handler):
    """The last lines, for a technician who cannot see the journal. Fixed memory."""

    def __init__(self, lines: int = 300) -> None:
        super().__init__()
        self._lines: deque[str] = deque(maxlen=lines)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record)[:LONGEST])

    @property
    def lines(self) -> list[str]:
        """Oldest first."""
        with self.lock or nullcontext():
            return list(self._lines)


def set_up(handler: logging.Handler, level: int = logging.INFO, *, recent: Recent | None = None) -> None:
    """Send everything to `handler`, which is read by people unless it has a form of its own, and to `recent`."""
    if handler.formatter is None:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=level, handlers=[handler, *([recent] if recent else [])], force=True)
