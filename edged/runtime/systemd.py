"""systemd as the daemon's service manager (sd_notify), and as who administers the service sees it (systemctl).

systemd-python is Debian's and Ubuntu's package python3-systemd; it has no wheel. Where it is absent, systemd is not
notified.
"""

from __future__ import annotations

import logging
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic_ns

from edged.units import NS_PER_US, US_PER_S

try:
    from systemd import daemon as sd
except ImportError:  # an extra
    sd = None

log = logging.getLogger(__name__)

MAX_STATUS_CHARS = 500
UNIT = "edged.service"
SYSTEMCTL_LIMIT_S = 420.0  # a start with the slowest models
STATUS_POLL_S = 0.5
JOURNAL_LINES = 5  # of a start that failed


class Notify:
    """Notifies systemd by `send`, systemd-python's `notify`; without it, it does nothing. The loop's thread.

    `watchdog_s` is the silence after which systemd ends the daemon. In `runtime_dir` path units wait for files.
    """

    def __init__(
        self,
        send: Callable[[str], object] | None = None,
        watchdog_s: float | None = None,
        runtime_dir: Path | None = None,
    ) -> None:
        self.watchdog_s = watchdog_s
        self._runtime_dir = runtime_dir
        self._sd_notify = send

    def ready(self) -> None:
        self._send("READY=1")

    def reloading(self) -> None:
        """Until `ready`."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={monotonic_ns() // NS_PER_US}")

    def stopping(self) -> None:
        self._send("STOPPING=1", "STATUS=stopping")

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
        self._send(f"STATUS={_line(what)}", f"EXTEND_TIMEOUT_USEC={_us(limit_s)}", *watchdog)
        try:
            yield
        finally:
            if self.watchdog_s:
                self._send(f"WATCHDOG_USEC={_us(self.watchdog_s)}", "WATCHDOG=1")

    def _send(self, *fields: str) -> None:
        if self._sd_notify is not None:
            with suppress(OSError):  # its socket is gone
                self._sd_notify("\n".join(fields))


def from_environment(environ: Mapping[str, str]) -> Notify:
    """As systemd started this process; logs an error where systemd waits and systemd-python is absent."""
    if not environ.get("NOTIFY_SOCKET"):
        return Notify()
    if sd is None:
        log.error("systemd cannot be notified: its Python module is absent; run: apt-get install python3-systemd")
    ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    watchdog_us = int(environ.get("WATCHDOG_USEC", "0")) if ours else 0
    runtime_dir = environ.get("RUNTIME_DIRECTORY")
    return Notify(
        None if sd is None else sd.notify,
        watchdog_us / US_PER_S if watchdog_us else None,
        Path(runtime_dir) if runtime_dir else None,
    )


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
