"""The last seconds of one horse's measures, as arrays: what behaviours are read from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edged.behaviour.horse.behaviours import median_of
from edged.behaviour.horse.features import PoseFeatures
from edged.frame import F64

KEPT_S = 12.0
MOST = 512  # rows: 12 s at 40 Hz


@dataclass(frozen=True, slots=True, eq=False)
class FeatureWindow:
    """Columns over N sightings; positions in body lengths of the whole window, so that they can be compared."""

    t_s: F64
    body_length_px: float  # that they are measured in
    head_height: F64
    trunk_length: F64  # the neck-tail line as seen
    nose_at_flank: F64  # 1: the nose is there
    hip_tilt: F64
    leg_heights: F64  # (N, 4) heights of shoulders and hips above their hooves
    trunk_centre: F64  # (N, 2)
    nose: F64  # (N, 2)
    hooves: F64  # (N, 4, 2)


class FeatureHistory:
    """A ring of rows."""

    def __init__(self) -> None:
        self._rows = np.full((MOST, 22), np.nan)
        self._count = 0

    def add(self, features: PoseFeatures) -> None:
        if self._count == MOST:
            self._drop(MOST // 4)
        row = self._rows[self._count]
        trunk = features.trunk_length_px / features.body_length_px
        row[:6] = (
            features.t_s,
            features.body_length_px,
            features.head_height,
            trunk,
            features.nose_at_flank,
            features.hip_tilt,
        )
        row[6:10] = features.leg_heights
        row[10:] = (*features.trunk_centre, *features.nose, *(one for hoof in features.hooves for one in hoof))
        self._count += 1

    def last(self, seconds: float, now_s: float) -> FeatureWindow:
        """Sightings of the last `seconds`; none are kept longer than `KEPT_S`."""
        if self._count and now_s - self._rows[0, 0] > 2 * KEPT_S:
            self._drop(int(np.searchsorted(self._rows[: self._count, 0], now_s - KEPT_S)))
        rows = self._rows[: self._count]
        rows = rows[np.searchsorted(rows[:, 0], now_s - seconds) :]
        length_px = median_of(rows[:, 1])
        scale = (rows[:, 1] / length_px)[:, None]
        t_s, _, head, trunk, flank, hips = rows[:, :6].T
        return FeatureWindow(
            t_s,
            length_px,
            head,
            trunk * scale[:, 0],
            flank,
            hips,
            leg_heights=rows[:, 6:10] * scale,
            trunk_centre=rows[:, 10:12] * scale,
            nose=rows[:, 12:14] * scale,
            hooves=(rows[:, 14:] * scale).reshape(-1, 4, 2),
        )

    def _drop(self, count: int) -> None:
        kept = self._count - count
        self._rows[:kept] = self._rows[count : self._count].copy()
        self._count = kept
