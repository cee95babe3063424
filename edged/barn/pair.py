"""A mare and her foal in one stall: which is which, by their tracks and by how large they are.

Of two the larger one is the mare; a foal close to the camera may look larger for a while, so that a track is what it
was most of the time. Pure; one thread.
"""

from __future__ import annotations

from collections.abc import Sequence

from edged.frame import Subject

REMEMBERED = 16  # tracks
SURE = 5.0  # times that a track was the larger one more often than not, before that is held on to
MOST = 50.0
FOAL = 0.6  # of the mare's usual size: who is alone and smaller is the foal


class Pair:
    """`part` for every frame."""

    def __init__(self) -> None:
        self._larger: dict[int, float] = {}  # by track: how often it was the larger one, less how often not
        self._mare_px: float | None = None  # usual size

    def part(self, horses: Sequence[Subject]) -> tuple[Subject | None, Subject | None]:
        """The mare and the foal, None for who is not seen; of more than two, the two largest."""
        seen = sorted(horses, key=_size_px, reverse=True)[:2]
        if not seen:
            return None, None
        if len(seen) == 1:
            return self._alone(seen[0])
        large, small = seen
        for one, way in ((large, 1.0), (small, -1.0)):
            self._larger[one.id] = max(-MOST, min(MOST, self._larger.pop(one.id, 0.0) + way))
        while len(self._larger) > REMEMBERED:
            del self._larger[next(iter(self._larger))]
        if self._larger[small.id] - self._larger[large.id] > SURE:
            large, small = small, large
        size_px = _size_px(large)
        self._mare_px = size_px if self._mare_px is None else 0.99 * self._mare_px + 0.01 * size_px
        return large, small

    def _alone(self, one: Subject) -> tuple[Subject | None, Subject | None]:
        votes = self._larger.get(one.id, 0.0)
        if abs(votes) < SURE and self._mare_px is not None:
            votes = -SURE if _size_px(one) < FOAL * self._mare_px else SURE
        return (None, one) if votes <= -SURE else (one, None)


def _size_px(subject: Subject) -> float:
    x0, y0, x1, y1 = map(float, subject.xyxy)
    return max(x1 - x0, y1 - y0)
