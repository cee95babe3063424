"""The times of a recording's pictures, from its first one on: those that it holds, where they make sense. Pure."""

from __future__ import annotations


class RecordingTimes:
    """Times that rise from 0. A time that is missing or does not rise counts as one step after the one before.

    `max_gap_ns`: a longer gap is no time but a new beginning, as in joined transport streams; None: gaps are true.
    """

    def __init__(self, step_ns: int, max_gap_ns: int | None = None) -> None:
        self._step_ns = step_ns
        self._max_gap_ns = max_gap_ns
        self._origin_ns = 0  # what the stream calls time 0
        self._stamp_ns: int | None = None  # of the picture before
        self._time_ns: int | None = None

    def next_ns(self, stamp_ns: int | None) -> int:
        """The time of the next picture, whose own is `stamp_ns`."""
        time_ns = 0 if self._time_ns is None else self._time_ns + self._step_ns
        if stamp_ns is not None:
            if self._continues(stamp_ns):
                time_ns = stamp_ns - self._origin_ns
            else:
                self._origin_ns = stamp_ns - time_ns
            self._stamp_ns = stamp_ns
        self._time_ns = time_ns
        return time_ns

    @property
    def now_ns(self) -> int:
        """The time of the last picture; 0 before the first."""
        return self._time_ns or 0

    @property
    def end_ns(self) -> int:
        """One step after the last picture; 0 before the first."""
        return 0 if self._time_ns is None else self._time_ns + self._step_ns

    def _continues(self, stamp_ns: int) -> bool:
        """Whether the time of the next picture follows from its own."""
        if self._stamp_ns is None or self._time_ns is None:
            return False
        gap_ns = stamp_ns - self._stamp_ns
        rises = gap_ns > 0 and stamp_ns - self._origin_ns > self._time_ns
        return rises and (self._max_gap_ns is None or gap_ns <= self._max_gap_ns)
