"""How long and how high the horse of a stall is: learned from it while it stands, and forgotten slowly."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np

from edged.barn.ground import Ground
from edged.barn.measures import Measures
from edged.barn.plan import Known
from edged.barn.posture import glimpse

EVERY_S = 5.0  # between two lengths that are kept
KEPT = 720  # an hour of standing
LEAST = 6
BROADSIDE = 1.1  # a leg is at most so long beside the trunk as seen, unless the horse shows its end
PERCENTILE = 90
HIGHEST = 0.8  # of the camera's height, that a trunk may be


class Ruler:
    """Body length: the 90th percentile of the line from neck to root of the tail, in px and where possible in m."""

    def __init__(self, ground: Ground | None = None) -> None:
        self._lengths: deque[float] = deque(maxlen=KEPT)  # px; m on a ground
        self._highs_m: deque[float] = deque(maxlen=KEPT)
        self._last_s = -EVERY_S
        self.known = Known(ground=ground)

    def see(self, seen: Measures) -> None:
        if seen.t_s - self._last_s < EVERY_S or glimpse(seen) != "standing" or not seen.trunk_px > 0:
            return
        if seen.plan is None:
            if seen.reach * seen.length_px > BROADSIDE * seen.trunk_px:
                return
            self._lengths.append(seen.trunk_px)
        elif seen.plan.trunk_m > 0 and seen.plan.high_m > 0:
            self._lengths.append(seen.plan.trunk_m)
            self._highs_m.append(seen.plan.high_m)
        self._last_s = seen.t_s
        self.known = self._learned()

    def _learned(self) -> Known:
        known = self.known
        if len(self._lengths) < LEAST:
            return known
        length = float(np.percentile(self._lengths, PERCENTILE))
        if known.ground is None:
            return replace(known, length_px=length)
        high_m = min(float(np.median(self._highs_m)), HIGHEST * known.ground.camera_m)
        return replace(known, length_m=length, high_m=high_m)
