"""Who comes to a horse: a person's track that lasts, and leaves the place where it was first seen.

A detector takes a bucket for a person all night, and a shadow for one in a single frame. Neither silences an alert.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from edged.frame import F32, Subject

LASTS_S = 2.0  # between the first and the last sight of somebody
WENT = 0.5  # of the box's width at first: how far somebody's middle has gone
SMOOTH_S = 1.0  # over which the middle is averaged: boxes tremble
NEW_S = 10.0  # for which a track may yet turn out to be somebody who has just come
GONE_S = 10.0  # after which a track that is not seen is forgotten


@dataclass(slots=True, eq=False)
class _Track:
    first_s: float
    last_s: float
    began: F32  # (2,) px, where its middle was
    middle: F32  # (2,) px
    width: float
    somebody: bool = False

    @staticmethod
    def of(t_s: float, box: F32) -> _Track:
        return _Track(t_s, t_s, _middle(box), _middle(box), float(box[2] - box[0]))

    def see(self, t_s: float, box: F32) -> None:
        self.middle = self.middle + (_middle(box) - self.middle) * (1 - math.exp((self.last_s - t_s) / SMOOTH_S))
        self.last_s = t_s
        went = float(np.linalg.norm(self.middle - self.began)) > WENT * self.width
        self.somebody = self.somebody or (went and t_s - self.first_s >= LASTS_S)


class Visitors:
    """Times are those of frames; minus infinity: never."""

    def __init__(self) -> None:
        self.seen_s = -math.inf  # somebody was there
        self.stirred_s = -math.inf  # somebody was, or what may turn out to be
        self._tracks: dict[int, _Track] = {}

    def see(self, t_s: float, people: Iterable[Subject]) -> None:
        """Those the detector found in a frame; who is carried from an earlier one is no new evidence."""
        for one in people:
            if one.carried:
                continue
            if (track := self._tracks.get(one.id)) is None:
                track = self._tracks[one.id] = _Track.of(t_s, one.xyxy)
            track.see(t_s, one.xyxy)
            if track.somebody:
                self.seen_s = t_s
            if track.somebody or t_s - track.first_s < NEW_S:
                self.stirred_s = t_s
        for number in [number for number, track in self._tracks.items() if t_s - track.last_s > GONE_S]:
            del self._tracks[number]


def _middle(box: F32) -> F32:
    return np.asarray((box[:2] + box[2:]) / 2, np.float32)
