"""Log records to systemd's journal, with fields to ask for: `journalctl EDGED_CAMERA=stall1`.

The journal's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL), without its library. Any thread.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import struct
from collections.abc import Mapping

from edged.runtime.log import SYSLOG_PRIORITY, JournalFormatter

SOCKET = "/run/systemd/journal/socket"
PATIENCE_S = 0.5  # for the journal to read
# What our lines begin with, and the field its name goes to.
SUBJECTS = {"camera": "EDGED_CAMERA", "engine of": "EDGED_MODEL", "model": "EDGED_MODEL", "command": "EDGED_COMMAND"}
SUBJECT = re.compile(rf"({'|'.join(SUBJECTS)}) %s\b")


class Journal(logging.Handler):
    """Where a line cannot be had by `address` it goes to `spare`."""

    def __init__(self, spare: logging.Handler, address: str = SOCKET) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(message)s"))
        self._spare = spare
        self._spare.setFormatter(JournalFormatter("%(message)s"))
        self._address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(PATIENCE_S)

    def emit(self, record: logging.LogRecord) -> None:
        letter = b"".join(_field(name, value) for name, value in self._fields(record).items())
        try:
            self._socket.sendto(letter, self._address)
        except OSError:  # the journal restarts, or the line is too long for a datagram
            self._spare.emit(record)

    def close(self) -> None:
        self._socket.close()
        super().close()

    def _fields(self, record: logging.LogRecord) -> dict[str, str]:
        fields = {
            "MESSAGE": self.format(record),
            "PRIORITY": str(SYSLOG_PRIORITY.get(record.levelname, 5)),
            "SYSLOG_IDENTIFIER": "edged",
            "CODE_FILE": record.pathname,
            "CODE_LINE": str(record.lineno),
            "EDGED_LOGGER": record.name,
            "EDGED_THREAD": record.threadName or "",
        }
        about = SUBJECT.match(str(record.msg))
        if about and isinstance(record.args, tuple) and record.args:
            fields[SUBJECTS[about[1]]] = str(record.args[0])
        return fields


def journal(environ: Mapping[str, str], spare: logging.Handler, stderr_fd: int = 2) -> Journal | None:
    """The journal, where it is what our stderr goes to. Source: systemd.exec(5), $JOURNAL_STREAM."""
    at = os.fstat(stderr_fd)
    return Journal(spare) if environ.get("JOURNAL_STREAM") == f"{at.st_dev}:{at.st_ino}" else None


def _field(name: str, value: str) -> bytes:
    text = value.encode(errors="replace")
    if b"\n" not in text:
        return b"%s=%s\n" % (name.encode(), text)
    return b"%s\n%s%s\n" % (name.encode(), struct.pack("<Q", len(text)), text)
