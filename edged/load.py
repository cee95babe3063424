"""Whether a camera can afford every subject: `single`, `multi`, or one after the other as the load allows."""

from __future__ import annotations

from typing import Literal

from edged.units import ns

LATE = 0.3  # share of frames preceded by a dropped one that calls for relief
MEMORY = 0.1  # weight of the newest frame in that share
RELIEF_NS = ns(5)  # first stay in single-subject mode; doubles while multi keeps failing
LONGEST_NS = ns(80)


class Load:
    """Adaptive mode: all subjects until frames are late, then one, then all again after a while."""

    def __init__(self, mode: Literal["multi", "single", "adaptive"]) -> None:
        self._mode = mode
        self._late = 0.0
        self._last_seq: int | None = None
        self._relief_ns = RELIEF_NS
        self._single_until_ns: int | None = None

    def single(self, seq: int, t_ns: int) -> bool:
        """Whether this frame is for the one best subject only."""
        if self._mode != "adaptive":
            return self._mode == "single"
        missed = self._last_seq is not None and seq > self._last_seq + 1
        self._last_seq = seq
        if self._single_until_ns is not None:
            if t_ns < self._single_until_ns:
                return True
            self._single_until_ns, self._late = None, 0.0
        self._late += MEMORY * (missed - self._late)
        if self._late > LATE:
            self._single_until_ns = t_ns + self._relief_ns
            self._relief_ns = min(2 * self._relief_ns, LONGEST_NS)
            return True
        if self._late < LATE / 10:
            self._relief_ns = RELIEF_NS
        return False
