"""The id of this device. Apart from `info`, for programs that need nothing else."""

from __future__ import annotations

import uuid
from contextlib import suppress
from pathlib import Path

MACHINE_ID = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


def device_id(configured: str, sources: tuple[Path, ...] = MACHINE_ID) -> str:
    """The configured id; for `auto` one of the machine id, else of the MAC address."""
    if configured != "auto":
        return configured
    for source in sources:
        with suppress(OSError):
            if len(written := source.read_text().strip()) >= 8:
                return f"edged-{written[:8]}"
    return f"edged-{uuid.getnode() & 0xFFFF_FFFF:08x}"
