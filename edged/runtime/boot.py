"""Which boot of this machine it is: CLOCK_MONOTONIC begins anew with each."""

from __future__ import annotations

from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Of this boot alone; empty where the kernel does not tell it, and it may be any."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""
