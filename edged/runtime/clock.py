"""Wall time: CLOCK_MONOTONIC nanoseconds become UTC milliseconds here and nowhere else, where a message is built.

Upstream: all times inside. Downstream: message headers. Any thread.
"""

from __future__ import annotations

import ctypes
import time

from edged.runtime import libc
from edged.units import NS_PER_MS, NS_PER_S

_CLOCK_ERROR = 5  # TIME_ERROR of adjtimex(2): no time source has set the clock
_CHECK_NS = 10 * NS_PER_S


class Clock:
    """The system's wall clock, and whether a time source keeps it."""

    def __init__(self) -> None:
        self._synced = False
        self._checked_ns: int | None = None

    def utc_ms(self, monotonic_ns: int) -> int:
        """UTC of that instant of CLOCK_MONOTONIC, by the wall clock of now."""
        return (time.time_ns() - time.monotonic_ns() + monotonic_ns) // NS_PER_MS

    @property
    def synced(self) -> bool:
        """Whether NTP, PTP or GPS keeps the clock, by the kernel; read at most every ten seconds."""
        now_ns = time.monotonic_ns()
        if self._checked_ns is None or now_ns - self._checked_ns > _CHECK_NS:
            self._synced, self._checked_ns = _kernel_is_synced(), now_ns
        return self._synced


def _kernel_is_synced() -> bool:
    """Source: adjtimex(2). A zeroed `struct timex` (208 bytes) changes nothing and needs no privilege."""
    adjtimex = libc.function("adjtimex")
    return adjtimex is not None and adjtimex(ctypes.create_string_buffer(512)) not in (-1, _CLOCK_ERROR)
