"""Clocks for tests: monotonic ones that the test moves, and wall clocks."""

from __future__ import annotations

from edged.units import ns

MS = 1_000_000


class ManualClock:
    """Monotonic nanoseconds that pass only when the test says so."""

    def __init__(self, now_ns: int = 0) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns

    def pass_s(self, seconds: float) -> None:
        self.now_ns += ns(seconds)


class SyncedClock:
    """A wall clock that is the monotonic one."""

    synced = True

    def utc_ms(self, monotonic_ns: int) -> int:
        return monotonic_ns // MS


class FixedOffsetClock:
    """A wall clock 9 000 ms ahead of the monotonic one."""

    synced = True

    def utc_ms(self, monotonic_ns: int) -> int:
        return monotonic_ns // MS + 9000
