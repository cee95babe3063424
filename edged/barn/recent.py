"""The last seconds of one horse's measures, as arrays: what behaviours are read from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edged.barn.measures import Measures
from edged.barn.motion import middle
from edged.barn.points import F64

KEPT_S = 12.0
MOST = 512  # rows: 12 s at 40 Hz


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Columns over N sightings; positions in body lengths of the whole window, so that they can be compared."""

    t_s: F64
    head: F64
    along: F64
    aside: F64
    trunk: F64  # the neck-tail line as seen
    hips: F64
    centre: F64  # (N, 2)
    nose: F64  # (N, 2)
    hooves: F64  # (N, 4, 2)


class Recent:
    """A ring of rows."""

    def __init__(self) -> None:
        self._rows = np.full((MOST, 19), np.nan)
        self._count = 0

    def add(self, seen: Measures) -> None:
        if self._count == MOST:
            self._drop(MOST // 4)
        row = self._rows[self._count]
        trunk = seen.trunk_px / seen.length_px
        row[:7] = seen.t_s, seen.length_px, seen.head, seen.along, seen.aside, trunk, seen.hips
        row[7:9], row[9:11], row[11:] = seen.centre, seen.nose, seen.hooves.ravel()
        self._count += 1

    def last(self, seconds: float, now_s: float) -> Window:
        """Sightings of the last `seconds`; none are kept longer than `KEPT_S`."""
        if self._count and now_s - self._rows[0, 0] > 2 * KEPT_S:
            self._drop(int(np.searchsorted(self._rows[: self._count, 0], now_s - KEPT_S)))
        rows = self._rows[: self._count]
        rows = rows[np.searchsorted(rows[:, 0], now_s - seconds) :]
        scale = (rows[:, 1] / middle(rows[:, 1]))[:, None] if len(rows) else rows[:, 1:2]
        t_s, _, head, along, aside, trunk, hips = rows[:, :7].T
        return Window(
            t_s,
            head,
            along,
            aside,
            trunk,
            hips,
            centre=rows[:, 7:9] * scale,
            nose=rows[:, 9:11] * scale,
            hooves=(rows[:, 11:] * scale).reshape(-1, 4, 2),
        )

    def _drop(self, count: int) -> None:
        kept = self._count - count
        self._rows[:kept] = self._rows[count : self._count].copy()
        self._count = kept
