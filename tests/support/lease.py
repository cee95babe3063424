"""One frame of a camera hub at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edged.capture.hub import CameraHub
from edged.frame import Frame


@contextmanager
def leased(hub: CameraHub, timeout_s: float) -> Iterator[Frame | None]:
    """The newest frame of the next camera in turn; processed when the block ends, failed when it raises."""
    with hub.lease(timeout_s, 1) as leases:
        yield leases[0].frame if leases else None
        for lease in leases:
            lease.processed = True
