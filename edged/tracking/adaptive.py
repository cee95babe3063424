"""How many subjects a camera's frames are inferred for: one, all, or as many as the load allows."""

from __future__ import annotations

from typing import Literal

from edged.units import ns

# Tuned numbers. Source: chosen by hand; tests/unit/test_adaptive.py states their effect.
MAX_LATE_SHARE = 0.3  # of frames, preceded by a dropped one: more switches to one subject
CALM_SHARE = 0.03  # of late frames, below which the next stay is a short one again
LATE_SHARE_WEIGHT = 0.1  # of the newest frame in that share
FIRST_SINGLE_NS = ns(5)  # first stay with one subject; doubles while all subjects remain too many
MAX_SINGLE_NS = ns(80)  # longest such stay


class AdaptiveMode:
    """All subjects until frames are late, then one for a while, then all again."""

    def __init__(self, mode: Literal["multi", "single", "adaptive"]) -> None:
        self._mode = mode
        self._late_share = 0.0
        self._last_seq: int | None = None
        self._single_ns = FIRST_SINGLE_NS
        self._single_until_ns: int | None = None

    def is_single(self, seq: int, t_ns: int) -> bool:
        """Whether this frame is inferred for the one best subject only; to be called once a frame."""
        if self._mode != "adaptive":
            return self._mode == "single"
        is_late = self._last_seq is not None and seq > self._last_seq + 1
        self._last_seq = seq
        if self._single_until_ns is not None:
            if t_ns < self._single_until_ns:
                return True
            self._single_until_ns, self._late_share = None, 0.0
        late = 1.0 if is_late else 0.0
        self._late_share += LATE_SHARE_WEIGHT * (late - self._late_share)
        if self._late_share > MAX_LATE_SHARE:
            self._single_until_ns = t_ns + self._single_ns
            self._single_ns = min(2 * self._single_ns, MAX_SINGLE_NS)
            return True
        if self._late_share < CALM_SHARE:
            self._single_ns = FIRST_SINGLE_NS
        return False
