"""Who comes to a horse: a person's track that lasts, and leaves the place where it was first seen.

A detector takes a bucket for a person all night, and a shadow for one in a single frame. Neither silences an alert.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from edged.frame import F32, TrackedSubject

LASTS_S = 2.0  # between the first and the last sight of somebody
WENT = 0.5  # of the box's width at first: how far somebody's middle has gone
SMOOTH_S = 1.0  # over which the middle is averaged: boxes tremble
NEW_S = 10.0  # for which a track may yet turn out to be somebody who has just come
GONE_S = 10.0  # after which a track that is not seen is forgotten


@dataclass(slots=True, eq=False)
class _Track:
    first_s: float
    last_s: float
    start_px: F32  # (2,) px, where its middle was
    centre_px: F32  # (2,) px
    width_px: float
    is_person: bool = False

    @staticmethod
    def start(t_s: float, box: F32) -> _Track:
        return _Track(t_s, t_s, _centre(box), _centre(box), float(box[2] - box[0]))

    def update(self, t_s: float, box: F32) -> None:
        self.centre_px = self.centre_px + (_centre(box) - self.centre_px) * (
            1 - math.exp((self.last_s - t_s) / SMOOTH_S)
        )
        self.last_s = t_s
        went = float(np.linalg.norm(self.centre_px - self.start_px)) > WENT * self.width_px
        self.is_person = self.is_person or (went and t_s - self.first_s >= LASTS_S)


class PersonPresence:
    """Times are those of frames; minus infinity: never."""

    def __init__(self) -> None:
        self.last_person_s = -math.inf  # somebody was there
        self.last_activity_s = -math.inf  # somebody was, or what may turn out to be
        self._tracks: dict[int, _Track] = {}

    def update(self, t_s: float, people: Iterable[TrackedSubject]) -> None:
        """Those the detector found in a frame; who is carried from an earlier one is no new evidence."""
        for one in people:
            if one.box_source != "detected":
                continue
            if (track := self._tracks.get(one.id)) is None:
                track = self._tracks[one.id] = _Track.start(t_s, one.xyxy)
            track.update(t_s, one.xyxy)
            if track.is_person:
                self.last_person_s = t_s
            if track.is_person or t_s - track.first_s < NEW_S:
                self.last_activity_s = t_s
        for number in [number for number, track in self._tracks.items() if t_s - track.last_s > GONE_S]:
            del self._tracks[number]


def _centre(box: F32) -> F32:
    return np.asarray((box[:2] + box[2:]) / 2, np.float32)
