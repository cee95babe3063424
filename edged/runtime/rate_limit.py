"""Limits the rate of events. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class RateLimiter:
    """Allows one event per period on average, each at most half a period early: cameras jitter."""

    period_ns: int
    expires_ns: int | None = None  # CLOCK_MONOTONIC; None: never
    _next_ns: int = 0

    def allow(self, t_ns: int) -> bool:
        """Whether an event at `t_ns` may pass. Source: the generic cell rate algorithm, ITU-T I.371."""
        if t_ns < self._next_ns - self.period_ns // 2:
            return False
        self._next_ns = max(t_ns, self._next_ns) + self.period_ns
        return True

    def reset(self) -> None:
        """Allow the next event, whenever it comes."""
        self._next_ns = 0
