"""One daemon on a state directory: two would overwrite each other's totals and alerts.

The directory itself is locked, so that nothing is left behind, and programs that only read there go on.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from edged.errors import StateInUse

log = logging.getLogger(__name__)

LOCKS = Path("/proc/locks")


@contextmanager
def locked_state(directory: Path) -> Iterator[None]:
    """Hold the directory, made if need be. Raises StateInUse.

    One that cannot be made or opened is not held: whoever writes there says what is wrong. One that cannot be locked,
    as on some network file systems, is used without.
    """
    with ExitStack() as stack:
        with suppress(OSError):
            directory.mkdir(parents=True, exist_ok=True)
            handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
            stack.callback(os.close, handle)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                raise StateInUse(_text(directory, os.fstat(handle).st_ino)) from exc
            except OSError as exc:
                log.warning("%s: %s; a second daemon there would not be noticed", directory, exc.strerror)
        yield


def _text(directory: Path, inode: int) -> str:
    do = "stop that one (systemctl stop edged), give this one another directory, or try it with --embedded-broker"
    return f"device.state_dir = {directory}: {_holder(inode)} runs with it; want one daemon for each directory; {do}"


def _holder(inode: int) -> str:
    """Source of the lines: proc_locks(5). A file system may show another inode there than stat(2)."""
    with suppress(OSError):
        for line in LOCKS.read_text().splitlines():
            words = line.split()
            if words[1] == "FLOCK" and words[5].endswith(f":{inode}"):
                return f"another edged (process {words[4]})"
    return "another edged"
