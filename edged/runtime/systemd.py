"""systemd as the daemon's service manager, and the service as systemctl shows it.

Notifications are sent here and not by sd_notify(3): that one waits, holding Python's lock, while systemd does not read,
and then neither a camera nor SIGTERM gets through.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic_ns

from edged.units import NS_PER_US, US_PER_S

MAX_STATUS_CHARS = 500  # of STATUS=, which is one line
SEND_TIMEOUT_S = 0.5  # for systemd to read what must not be lost
UNIT = "edged.service"
SYSTEMCTL_LIMIT_S = 420.0  # a start with the slowest models
STATUS_POLL_S = 0.5
JOURNAL_LINES = 5  # of a start that failed


class Notify:
    """Notifies systemd at `address`, a path or @abstract; empty: nothing is sent. The loop's thread.

    `watchdog_s` is the silence after which systemd ends the daemon. In `runtime_dir` path units wait for files.
    Source of the protocol: sd_notify(3).
    """

    def __init__(self, address: str = "", watchdog_s: float | None = None, runtime_dir: Path | None = None) -> None:
        self.watchdog_s = watchdog_s
        self._runtime_dir = runtime_dir
        self._address = f"\0{address[1:]}" if address.startswith("@") else address

    def ready(self) -> None:
        self._send("READY=1", timeout_s=SEND_TIMEOUT_S)

    def reloading(self) -> None:
        """Until `ready`."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={monotonic_ns() // NS_PER_US}", timeout_s=SEND_TIMEOUT_S)

    def stopping(self) -> None:
        self._send("STOPPING=1", "STATUS=stopping", timeout_s=SEND_TIMEOUT_S)

    def status(self, text: str) -> None:
        self._send(f"STATUS={_line(text)}")

    def feed_watchdog(self) -> None:
        self._send("WATCHDOG=1")

    def request_unit(self, unit: str) -> None:
        """Have the path unit that waits for this file start its service, which may do what takes root."""
        if self._runtime_dir is not None:
            with suppress(OSError):  # a folder that is gone or full: it is requested again later
                (self._runtime_dir / unit).touch()

    @contextmanager
    def extend_timeout(self, what: str, limit_s: float) -> Iterator[None]:
        """Inside, the watchdog and a start have this limit in place of their own."""
        watchdog = [f"WATCHDOG_USEC={_us(limit_s)}"] if self.watchdog_s else []
        fields = f"STATUS={_line(what)}", f"EXTEND_TIMEOUT_USEC={_us(limit_s)}", *watchdog
        self._send(*fields, timeout_s=SEND_TIMEOUT_S)
        try:
            yield
        finally:
            if self.watchdog_s:
                self._send(f"WATCHDOG_USEC={_us(self.watchdog_s)}", "WATCHDOG=1", timeout_s=SEND_TIMEOUT_S)

    def _send(self, *fields: str, timeout_s: float = 0.0) -> None:
        """One datagram, lost when there is no room for it in time."""
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
            out.settimeout(timeout_s)
            with suppress(OSError):  # no room, or nobody listens
                out.sendto("\n".join(fields).encode(), self._address)


def from_environment(environ: Mapping[str, str]) -> Notify:
    """As systemd started this process; of another process's environment the watchdog is not taken."""
    ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    watchdog_us = int(environ.get("WATCHDOG_USEC", "0")) if ours else 0
    return Notify(
        environ.get("NOTIFY_SOCKET", ""),
        watchdog_us / US_PER_S if watchdog_us else None,
        runtime_directory(environ),
    )


def runtime_directory(environ: Mapping[str, str]) -> Path | None:
    """Where units of root look for requests of the daemon; None: it is no service."""
    directory = environ.get("RUNTIME_DIRECTORY")
    return Path(directory) if directory else None


class Service:
    """The unit `edged.service`. Needs root."""

    @property
    def running(self) -> bool:
        return _systemctl("is-active", "--quiet", UNIT).returncode == 0

    def restart(self) -> str:
        """Restart with the units and configuration in place now: why it did not become ready, empty when it did.

        The reason are the daemon's last log lines, else systemd's.
        """
        _systemctl("daemon-reload")
        _systemctl("reset-failed", UNIT)
        if _systemctl("restart", UNIT).returncode == 0 and self.running:
            return ""
        start = _unit_property("InvocationID")
        own = _journal(f"_SYSTEMD_INVOCATION_ID={start}") if start else ""
        return own or _journal(f"--unit={UNIT}") or "systemd does not say why"

    def wait_for_status(self, limit_s: float) -> str:
        """Its status, as soon as that is about cameras and broker that have answered, or after `limit_s`."""
        end_s = time.monotonic() + limit_s
        while True:
            status = _unit_property("StatusText")
            if _is_known(status) or time.monotonic() > end_s:
                return status
            time.sleep(STATUS_POLL_S)


def _is_known(status: str) -> bool:
    """See `edged.device.watchdog.status_line`."""
    return "broker connected" in status and " connecting" not in status


def _unit_property(name: str) -> str:
    return _systemctl("show", f"--property={name}", "--value", UNIT).stdout.strip()


def _journal(match: str) -> str:
    return _run("journalctl", match, f"--lines={JOURNAL_LINES}", "--output=cat", "--no-pager").stdout.strip()


def _systemctl(*words: str) -> subprocess.CompletedProcess[str]:
    return _run("systemctl", *words)


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=SYSTEMCTL_LIMIT_S)  # noqa: S603


def _line(text: str) -> str:
    return " ".join(text.split())[:MAX_STATUS_CHARS]


def _us(seconds: float) -> int:
    return round(seconds * US_PER_S)
