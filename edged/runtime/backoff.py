"""How long to wait before something is tried again."""

from __future__ import annotations

import random
from collections.abc import Callable

INITIAL_WAIT_S = 0.5  # the first wait; each next one is twice as long


class Backoff:
    """Waits that double up to `max_s`, each shortened at random to 50..100 %: devices do not retry in step."""

    def __init__(
        self, max_s: float, jitter: Callable[[], float] = random.random, *, initial_s: float = INITIAL_WAIT_S
    ) -> None:
        self._max_s = max_s
        self._initial_s = initial_s
        self._jitter = jitter
        self.reset()

    def reset(self) -> None:
        self._next_wait_s = min(self._initial_s, self._max_s)

    def next_s(self) -> float:
        wait_s = self._next_wait_s * (0.5 + 0.5 * self._jitter())
        self._next_wait_s = min(2 * self._next_wait_s, self._max_s)
        return wait_s
