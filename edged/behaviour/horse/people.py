"""Which tracks of class person are people: those that last, and leave the place where they were first seen.

A detector takes a bucket for a person all night, and a shadow for one in a single frame. Neither suppresses an alert.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from edged.behaviour.horse.thresholds import People as T
from edged.frame import F32, TrackedSubject


@dataclass(slots=True, eq=False)
class _Track:
    first_s: float
    last_s: float
    start_px: F32  # (2,) centre of the first box
    centre_px: F32  # (2,) smoothed: boxes tremble
    width_px: float  # of the first box
    is_person: bool = False

    @staticmethod
    def start(t_s: float, box: F32) -> _Track:
        return _Track(t_s, t_s, _centre(box), _centre(box), float(box[2] - box[0]))

    def update(self, t_s: float, box: F32) -> None:
        gain = 1 - math.exp((self.last_s - t_s) / T.smoothing_s)
        self.centre_px = self.centre_px + (_centre(box) - self.centre_px) * gain
        self.last_s = t_s
        moved_px = float(np.linalg.norm(self.centre_px - self.start_px))
        if moved_px > T.min_distance * self.width_px and t_s - self.first_s >= T.min_duration_s:
            self.is_person = True


class PersonPresence:
    """When a person was last in view. Times are those of frames, CLOCK_MONOTONIC; minus infinity: never."""

    def __init__(self) -> None:
        self.last_person_s = -math.inf
        self.last_activity_s = -math.inf  # of a person, or of a new track that may turn out to be one
        self._tracks: dict[int, _Track] = {}

    def update(self, t_s: float, people: Iterable[TrackedSubject]) -> None:
        """One frame's tracks of class person. Of predicted boxes none counts: they are no new evidence."""
        for subject in people:
            if subject.box_source not in ("detected", "held"):
                continue
            if (track := self._tracks.get(subject.id)) is None:
                track = self._tracks[subject.id] = _Track.start(t_s, subject.xyxy)
            track.update(t_s, subject.xyxy)
            if track.is_person:
                self.last_person_s = t_s
            if track.is_person or t_s - track.first_s < T.new_s:
                self.last_activity_s = t_s
        self._tracks = {number: track for number, track in self._tracks.items() if t_s - track.last_s <= T.forget_s}


def _centre(box: F32) -> F32:
    return np.asarray((box[:2] + box[2:]) / 2, np.float32)
