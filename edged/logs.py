"""Where log lines go: the journal understands a priority in front, people a time."""

from __future__ import annotations

import logging
import os

PRIORITY = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}  # syslog(3)


class JournalFormatter(logging.Formatter):
    """`<4>camera stall1: lost`, as sd-daemon(3) describes."""

    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{PRIORITY.get(record.levelname, 5)}>"
        return "\n".join(prefix + line for line in super().format(record).splitlines())


def set_up(handler: logging.Handler, level: int = logging.INFO) -> None:
    """Send everything to `handler`, in the form its reader wants."""
    in_journal = "JOURNAL_STREAM" in os.environ
    people = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")
    handler.setFormatter(JournalFormatter("%(message)s") if in_journal else people)
    logging.basicConfig(level=level, handlers=[handler], force=True)
