"""A mare and her foal in one stall: which is which, by their tracks and by how large they are.

Of two the larger one is the mare; a foal close to the camera may look larger for a while, so that a track is what it
was most of the time. Pure; one thread.
"""

from __future__ import annotations

from collections.abc import Sequence

from edged.frame import TrackedSubject

MAX_TRACKS = 16  # tracks
SURE_VOTES = 5.0  # times that a track was the larger one more often than not, before that is held on to
MAX_VOTES = 50.0
FOAL_SIZE = 0.6  # of the mare's usual size: who is alone and smaller is the foal


class MareFoalAssigner:
    """`part` for every frame."""

    def __init__(self) -> None:
        self._size_votes: dict[int, float] = {}  # by track: how often it was the larger one, less how often not
        self._mare_px: float | None = None  # usual size

    def assign(self, horses: Sequence[TrackedSubject]) -> tuple[TrackedSubject | None, TrackedSubject | None]:
        """The mare and the foal, None for who is not seen; of more than two, the two largest."""
        seen = sorted(horses, key=_size_px, reverse=True)[:2]
        if not seen:
            return None, None
        if len(seen) == 1:
            return self._assign_single(seen[0])
        large, small = seen
        for one, way in ((large, 1.0), (small, -1.0)):
            self._size_votes[one.id] = max(-MAX_VOTES, min(MAX_VOTES, self._size_votes.pop(one.id, 0.0) + way))
        while len(self._size_votes) > MAX_TRACKS:
            del self._size_votes[next(iter(self._size_votes))]
        if self._size_votes[small.id] - self._size_votes[large.id] > SURE_VOTES:
            large, small = small, large
        size_px = _size_px(large)
        self._mare_px = size_px if self._mare_px is None else 0.99 * self._mare_px + 0.01 * size_px
        return large, small

    def _assign_single(self, subject: TrackedSubject) -> tuple[TrackedSubject | None, TrackedSubject | None]:
        votes = self._size_votes.get(subject.id, 0.0)
        if abs(votes) < SURE_VOTES and self._mare_px is not None:
            votes = -SURE_VOTES if _size_px(subject) < FOAL_SIZE * self._mare_px else SURE_VOTES
        return (None, subject) if votes <= -SURE_VOTES else (subject, None)


def _size_px(subject: TrackedSubject) -> float:
    x0, y0, x1, y1 = map(float, subject.xyxy)
    return max(x1 - x0, y1 - y0)
