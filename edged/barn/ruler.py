"""How long the horse of a stall is, in px: learned from it while it stands broadside, and forgotten slowly."""

from __future__ import annotations

from collections import deque

import numpy as np

from edged.barn.measures import Measures
from edged.barn.posture import glimpse

EVERY_S = 5.0  # between two lengths that are kept
KEPT = 720  # an hour of standing
LEAST = 6
BROADSIDE = 1.1  # a leg is at most so long beside the trunk as seen, unless the horse shows its end
PERCENTILE = 90


class Ruler:
    """Body length: the 90th percentile of the line from neck to root of the tail."""

    def __init__(self) -> None:
        self._lengths_px: deque[float] = deque(maxlen=KEPT)
        self._last_s = -EVERY_S
        self.usual_px: float | None = None

    def see(self, seen: Measures) -> None:
        if seen.t_s - self._last_s < EVERY_S or glimpse(seen) != "standing" or not seen.trunk_px > 0:
            return
        if seen.reach * seen.length_px > BROADSIDE * seen.trunk_px:
            return
        self._last_s = seen.t_s
        self._lengths_px.append(seen.trunk_px)
        if len(self._lengths_px) >= LEAST:
            self.usual_px = float(np.percentile(self._lengths_px, PERCENTILE))
