"""Who this box is, when the configuration leaves it to the machine."""

from __future__ import annotations

import uuid
from contextlib import suppress
from pathlib import Path

MACHINE_ID = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


def device_id(configured: str, sources: tuple[Path, ...] = MACHINE_ID) -> str:
    """The configured id; for `auto` one made of the machine id, or of the network card's address without one."""
    if configured != "auto":
        return configured
    for source in sources:
        with suppress(OSError):
            if len(written := source.read_text().strip()) >= 8:
                return f"edged-{written[:8]}"
    return f"edged-{uuid.getnode() & 0xFFFF_FFFF:08x}"
