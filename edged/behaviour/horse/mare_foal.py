"""A mare and her foal in one stall: which is which, by the size of their boxes and by their tracks.

The larger of two is the mare. A foal close to the camera may look larger for a while, so a track is what it was most of
the time. Pure; one thread.
"""

from __future__ import annotations

from collections.abc import Sequence

from edged.behaviour.horse.thresholds import MareFoal as T
from edged.frame import TrackedSubject


class MareFoalAssigner:
    """`assign` for every frame."""

    def __init__(self) -> None:
        self._size_votes: dict[int, float] = {}  # by track: frames in which it was the larger one, less the others
        self._mare_px: float | None = None  # usual size

    def assign(self, horses: Sequence[TrackedSubject]) -> tuple[TrackedSubject | None, TrackedSubject | None]:
        """The mare and the foal, None: not visible. Of more than two horses, the two largest."""
        seen = sorted(horses, key=_size_px, reverse=True)[:2]
        if not seen:
            return None, None
        if len(seen) == 1:
            return self._assign_single(seen[0])
        large, small = seen
        for subject, vote in ((large, 1.0), (small, -1.0)):
            votes = self._size_votes.pop(subject.id, 0.0) + vote
            self._size_votes[subject.id] = max(-T.max_votes, min(T.max_votes, votes))
        while len(self._size_votes) > T.max_tracks:
            del self._size_votes[next(iter(self._size_votes))]
        if self._size_votes[small.id] - self._size_votes[large.id] > T.sure_votes:
            large, small = small, large
        size_px = _size_px(large)
        if self._mare_px is None:
            self._mare_px = size_px
        else:
            self._mare_px = (1 - T.size_gain) * self._mare_px + T.size_gain * size_px
        return large, small

    def _assign_single(self, subject: TrackedSubject) -> tuple[TrackedSubject | None, TrackedSubject | None]:
        votes = self._size_votes.get(subject.id, 0.0)
        if abs(votes) < T.sure_votes and self._mare_px is not None:
            votes = -T.sure_votes if _size_px(subject) < T.foal_size * self._mare_px else T.sure_votes
        return (None, subject) if votes <= -T.sure_votes else (subject, None)


def _size_px(subject: TrackedSubject) -> float:
    x0, y0, x1, y1 = map(float, subject.xyxy)
    return max(x1 - x0, y1 - y0)
