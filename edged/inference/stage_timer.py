"""Where a frame's time goes."""

from __future__ import annotations

import time


class StageTimer:
    """Nanoseconds per stage of one frame."""

    def __init__(self) -> None:
        self.stage_ns: dict[str, int] = {}
        self._last_ns = time.monotonic_ns()

    def lap(self, stage: str) -> None:
        """Adds the time since the last lap to `stage`."""
        now_ns = time.monotonic_ns()
        self.stage_ns[stage] = self.stage_ns.get(stage, 0) + now_ns - self._last_ns
        self._last_ns = now_ns
