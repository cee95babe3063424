"""The id of this device. Apart from `info`, for programs that need nothing else."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from contextlib import suppress
from pathlib import Path

MACHINE_ID = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
PROGRAM = b"edged"  # each program derives an id of its own, so that none gives the machine's away


def device_id(configured: str, sources: tuple[Path, ...] = MACHINE_ID) -> str:
    """The configured id; for `auto` one derived from the machine id, else the end of the MAC address.

    Source: machine-id(5), which asks programs not to show the machine id itself.
    """
    if configured != "auto":
        return configured
    for source in sources:
        with suppress(OSError):
            if len(written := source.read_bytes().strip()) >= 8:
                return f"edged-{hmac.new(written, PROGRAM, hashlib.sha256).hexdigest()[:8]}"
    return f"edged-{uuid.getnode() & 0xFFFF_FFFF:08x}"
