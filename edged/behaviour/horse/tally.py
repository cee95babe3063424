"""What happened minute by minute over the last hours: seconds of what lasts, counts of what happened."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Mapping

MAX_MINUTES = 26 * 60


class RollingCounts:
    """Time is CLOCK_MONOTONIC, so that a clock that is set changes nothing."""

    def __init__(self) -> None:
        self._minutes: deque[tuple[int, defaultdict[str, float]]] = deque(maxlen=MAX_MINUTES)
        self._complete_sums: dict[float, tuple[int, Counter[str]]] = {}  # by length: sums of the minutes that are over

    def add(self, now_s: float, increments: Mapping[str, float]) -> None:
        minute = int(now_s // 60)
        if not self._minutes or self._minutes[-1][0] != minute:
            self._minutes.append((minute, defaultdict(float)))
        for name, amount in increments.items():
            self._minutes[-1][1][name] += amount

    def totals(self, minutes: float, now_s: float) -> Counter[str]:
        """Sums over the last minutes, the running one included. Values are floats."""
        running = int(now_s // 60)
        minute, whole = self._complete_sums.get(minutes, (-1, Counter()))
        if minute != running:
            whole = self._sum(running - minutes, running)
            self._complete_sums[minutes] = running, whole
        total = whole.copy()
        if self._minutes and self._minutes[-1][0] == running:
            _add(total, self._minutes[-1][1])
        return total

    def _sum(self, after: float, before: int) -> Counter[str]:
        total: Counter[str] = Counter()
        for minute, told in reversed(self._minutes):
            if minute <= after:
                break
            if minute < before:
                _add(total, told)
        return total


def _add(total: Counter[str], increments: Mapping[str, float]) -> None:
    for name, amount in increments.items():
        total[name] += amount  # type: ignore[assignment]  # a Counter of seconds
