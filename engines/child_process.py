"""Runs a command in a process of its own, with a limit: whatever it does to itself, the caller goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

POLL_S = 0.05  # between two looks at the child


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a process ended, and what it wrote."""

    returncode: int
    timed_out: bool
    stdout: str
    stderr: str

    @property
    def last_line(self) -> str:
        """The last line that is not empty, of stderr, else of stdout."""
        lines = [line for line in (*self.stdout.splitlines(), *self.stderr.splitlines()) if line.strip()]
        return lines[-1].strip() if lines else ""


def run_child(
    command: Sequence[str],
    *,
    text: str = "",
    timeout_s: float | None = None,
    on_line: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
    terminate_timeout_s: float = 0.0,
    log: Path | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Ended:
    """How `command` ended, to which `text` is stdin. Any thread; waits.

    Past `timeout_s` it is killed, with all that it has started. Once `stop` is set it gets SIGTERM, and is killed
    `terminate_timeout_s` later. `on_line` is called with each whole line of stdout, soon after it was written.
    With `log` both streams go to that file, which stays, and are `stdout` here.
    """
    with TemporaryFile("w+") as stdin, log.open("w+") if log else TemporaryFile("w+") as out, TemporaryFile() as err:
        stdin.write(text)
        stdin.seek(0)
        errors = subprocess.STDOUT if log else err
        with subprocess.Popen(  # noqa: S603
            command, stdin=stdin, stdout=out, stderr=errors, env=env, cwd=cwd, start_new_session=True
        ) as child:
            try:
                timed_out = _wait(child, _lines(out), on_line, timeout_s, _Stop(stop, terminate_timeout_s))
            finally:
                if child.poll() is None:
                    os.killpg(child.pid, signal.SIGKILL)
        return Ended(returncode=child.returncode, timed_out=timed_out, stdout=_text(out), stderr=_text(err))


class _Stop:
    """Ends a process on request: SIGTERM first, and SIGKILL after a while."""

    def __init__(self, requested: threading.Event | None, timeout_s: float) -> None:
        self._requested = requested
        self._timeout_s = timeout_s
        self._kill_s: float | None = None

    def poll(self, child: subprocess.Popen[bytes]) -> None:
        if self._requested is None or not self._requested.is_set():
            return
        if self._kill_s is None:
            self._kill_s = time.monotonic() + self._timeout_s
            child.terminate()
        elif time.monotonic() >= self._kill_s:
            child.kill()


def _wait(
    child: subprocess.Popen[bytes],
    lines: Iterator[str],
    on_line: Callable[[str], None] | None,
    timeout_s: float | None,
    stop: _Stop,
) -> bool:
    """Until it has ended, or its time is over; whether that was so."""
    end_s = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        ended = child.poll() is not None
        while on_line is not None and (line := next(lines)):
            on_line(line)
        if ended:
            return False
        if end_s is not None and time.monotonic() > end_s:
            return True
        stop.poll(child)
        with suppress(subprocess.TimeoutExpired):
            child.wait(POLL_S)


def _lines(file: IO[str]) -> Iterator[str]:
    """Whole lines as they are written; an empty one while there is none. The file's offset is the writer's."""
    offset, rest = 0, b""
    while True:
        written = os.pread(file.fileno(), 1 << 16, offset)
        offset += len(written)
        *whole, rest = (rest + written).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole if line)
        if not written:
            yield ""


def _text(file: IO[str] | IO[bytes]) -> str:
    """All of it. The file's offset is the writer's."""
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode(errors="replace")
