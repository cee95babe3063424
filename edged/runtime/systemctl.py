"""The service as who administers it sees it, through systemd's own commands. Needs root."""

from __future__ import annotations

import subprocess
import time

UNIT = "edged.service"
LIMIT_S = 420.0  # a start with the slowest models
POLL_S = 0.5
JOURNAL_LINES = 5  # of the journal, where a start failed


class Service:
    @property
    def running(self) -> bool:
        return _systemctl("is-active", "--quiet", UNIT).returncode == 0

    def restart(self) -> str:
        """With what is in place now; why it did not come up, empty when it is ready.

        In the daemon's own words, which systemd's five lines on a failure would hide; in these if it had none.
        """
        _systemctl("daemon-reload")
        _systemctl("reset-failed", UNIT)
        if _systemctl("restart", UNIT).returncode == 0 and self.running:
            return ""
        start = _unit_property("InvocationID")
        own = _journal(f"_SYSTEMD_INVOCATION_ID={start}") if start else ""
        return own or _journal(f"--unit={UNIT}") or "systemd does not say why"

    def wait_for_status(self, limit_s: float) -> str:
        """How it says that it stands, as soon as it knows of its cameras and broker, or after that time."""
        end_s = time.monotonic() + limit_s
        while True:
            said = _unit_property("StatusText")
            if _is_known(said) or time.monotonic() > end_s:
                return said
            time.sleep(POLL_S)


def _is_known(status: str) -> bool:
    """See `edged.device.watchdog.status_line`."""
    return "broker connected" in status and " connecting" not in status


def _unit_property(what: str) -> str:
    """A property of the unit."""
    return _systemctl("show", f"--property={what}", "--value", UNIT).stdout.strip()


def _journal(which: str) -> str:
    return _run("journalctl", which, f"--lines={JOURNAL_LINES}", "--output=cat", "--no-pager").stdout.strip()


def _systemctl(*words: str) -> subprocess.CompletedProcess[str]:
    return _run("systemctl", *words)


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)  # noqa: S603
