"""What goes on or does not, told second by second, becomes bouts: joined over short breaks, counted once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """How one behaviour is counted."""

    name: str
    least_s: float  # shorter is none
    join_s: float  # breaks up to so long belong to it
    most_s: float = float("inf")  # longer is something else


class Bouts:
    """One behaviour of one horse."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._begun_s: float | None = None
        self._last_s = 0.0

    def tell(self, t_s: float, going_on: bool | None) -> float | None:
        """The length in s of a bout that has just ended and counts. None of the behaviour's own: nobody can tell."""
        if going_on:
            self._begun_s = t_s if self._begun_s is None else self._begun_s
            self._last_s = t_s
            return None
        if self._begun_s is None or t_s - self._last_s <= self.kind.join_s:
            return None
        lasted_s, self._begun_s = self._last_s - self._begun_s, None
        return lasted_s if self.kind.least_s <= lasted_s <= self.kind.most_s else None
