"""What systemd is told: ready, alive, where things stand, and that something takes long. Silent where nobody listens.

The protocol of sd_notify(3), without its library. Used by one thread, the one that computes; never blocks it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic_ns

from edged.units import NS_PER_US, US_PER_S

MAX_STATUS_CHARS = 500  # characters of a status
SEND_TIMEOUT_S = 0.5  # for systemd to read what must not be lost


class Notify:
    """`address` is systemd's socket, a path or @abstract; `watchdog_s` the silence after which it ends us.

    `folder` is our own, where units of systemd look for files that ask them to start.
    """

    def __init__(self, address: str = "", watchdog_s: float | None = None, runtime_dir: Path | None = None) -> None:
        self.watchdog_s = watchdog_s
        self._runtime_dir = runtime_dir
        self._address = f"\0{address[1:]}" if address.startswith("@") else address

    def ready(self) -> None:
        self._send("READY=1", must=True)

    def reloading(self) -> None:
        """Until `ready`."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={monotonic_ns() // NS_PER_US}", must=True)

    def stopping(self) -> None:
        self._send("STOPPING=1", "STATUS=stopping", must=True)

    def status(self, text: str) -> None:
        self._send(f"STATUS={_line(text)}")

    def feed_watchdog(self) -> None:
        self._send("WATCHDOG=1")

    def request_unit(self, unit: str) -> None:
        """Have something done that takes root."""
        if self._runtime_dir is not None:
            with suppress(OSError):  # a folder that is gone or full: asked again later
                (self._runtime_dir / unit).touch()

    @contextmanager
    def extend_timeout(self, what: str, limit_s: float) -> Iterator[None]:
        """Inside, nothing can be said for so long, and that is well: while starting as while running."""
        until = [f"WATCHDOG_USEC={_us(limit_s)}"] if self.watchdog_s else []
        self._send(f"STATUS={_line(what)}", f"EXTEND_TIMEOUT_USEC={_us(limit_s)}", *until, must=True)
        try:
            yield
        finally:
            if self.watchdog_s:
                self._send(f"WATCHDOG_USEC={_us(self.watchdog_s)}", "WATCHDOG=1", must=True)

    def _send(self, *words: str, must: bool = False) -> None:
        """What is told again and again may be lost while systemd is busy; the rest is waited for, a little."""
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
            out.settimeout(SEND_TIMEOUT_S if must else 0)
            with suppress(OSError):  # gone or full: the watchdog is there for that
                out.sendto("\n".join(words).encode(), self._address)


def from_environment(environ: Mapping[str, str]) -> Notify:
    """As systemd started us."""
    meant = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    us = int(environ.get("WATCHDOG_USEC", "0")) if meant else 0
    folder = environ.get("RUNTIME_DIRECTORY")
    return Notify(environ.get("NOTIFY_SOCKET", ""), us / US_PER_S if us else None, Path(folder) if folder else None)


def _line(text: str) -> str:
    return " ".join(text.split())[:MAX_STATUS_CHARS]


def _us(seconds: float) -> int:
    return round(seconds * US_PER_S)
