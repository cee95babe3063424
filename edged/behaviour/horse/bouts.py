"""What goes on or does not, told second by second, becomes bouts: joined over short breaks, counted once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BoutRule:
    """How one behaviour is counted."""

    name: str
    min_s: float  # shorter is none
    merge_gap_s: float  # breaks up to so long belong to it
    max_s: float = float("inf")  # longer is something else


class BoutDetector:
    """One behaviour of one horse."""

    def __init__(self, rule: BoutRule) -> None:
        self.rule = rule
        self._start_s: float | None = None
        self._last_active_s = 0.0

    def update(self, t_s: float, active: bool | None) -> float | None:
        """The length in s of a bout that has just ended and counts. None of the behaviour's own: nobody can tell."""
        if active:
            self._start_s = t_s if self._start_s is None else self._start_s
            self._last_active_s = t_s
            return None
        if self._start_s is None or t_s - self._last_active_s <= self.rule.merge_gap_s:
            return None
        lasted_s, self._start_s = self._last_active_s - self._start_s, None
        return lasted_s if self.rule.min_s <= lasted_s <= self.rule.max_s else None
