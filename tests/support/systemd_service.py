"""The daemon's service, as provisioning sees it, without systemd."""

from __future__ import annotations


class Service:
    """The next starts fail for these reasons; then it starts."""

    def __init__(self, *failures: str, running: bool = True) -> None:
        self.failures = list(failures)
        self.running = running
        self.starts = 0

    def restart(self) -> str:
        self.starts += 1
        return self.failures.pop(0) if self.failures else ""

    def wait_for_status(self, limit_s: float) -> str:
        return "1 of 1 cameras online; broker connected"
