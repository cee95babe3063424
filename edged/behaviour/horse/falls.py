"""A collapse: a horse that sinks to its knees and is soon up again at the same place."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from edged.behaviour.horse.behaviours import find_fall, is_stationary, last_position, trunk_sank
from edged.behaviour.horse.features import FeatureWindow
from edged.behaviour.horse.nan_stats import nan_median
from edged.behaviour.horse.thresholds import Behaviours
from edged.behaviour.horse.thresholds import Horse as T
from edged.frame import F64


@dataclass(frozen=True, slots=True, eq=False)
class Fall:
    t_s: float  # CLOCK_MONOTONIC
    leg: int  # whose shoulder or hip sank
    height_before: float  # of that shoulder or hip above its hoof, body lengths
    trunk_px: F64  # (2,) the trunk's place before
    recovered_s: float | None = None


class FallDetector:
    """A fall counts when the horse is soon up again and stays there: it neither lay down nor walked away."""

    def __init__(self) -> None:
        self._fall: Fall | None = None
        self._last_fall_s = -math.inf

    def update(self, window: FeatureWindow, *, lying: bool, last_standing_s: float) -> bool:
        """Whether a collapse is over and counts. `window` spans `fall_window_s`."""
        if self._fall is not None:
            return self._follow(self._fall, window, lying=lying)
        if not lying:
            self._fall = self._find(window, last_standing_s)
        return False

    def _find(self, window: FeatureWindow, last_standing_s: float) -> Fall | None:
        for leg, heights in enumerate(window.leg_heights.T):
            t_s = find_fall(window.t_s, heights)
            if t_s is None or t_s - self._last_fall_s < T.fall_pause_s or t_s - last_standing_s > T.fall_standing_s:
                continue
            if trunk_sank(window.t_s, window.trunk_centre, window.trunk_length, t_s):
                self._last_fall_s = t_s
                before = window.t_s < t_s - Behaviours.fall_s / 2
                trunk_px = window.body_length_px * last_position(window.trunk_centre[before])
                return Fall(t_s, leg, nan_median(_last_three(heights[before])), trunk_px)
        return None

    def _follow(self, fall: Fall, window: FeatureWindow, *, lying: bool) -> bool:
        now_s = float(window.t_s[-1])
        moved = float(np.hypot(*(last_position(window.trunk_centre) - fall.trunk_px / window.body_length_px)))
        if moved > T.lying_place or (fall.recovered_s is None and now_s - fall.t_s > T.recovery_s):
            self._fall = None
        elif fall.recovered_s is None:
            height = nan_median(_last_three(window.leg_heights[window.t_s > fall.t_s, fall.leg]))
            if height > T.recovered_height * fall.height_before:
                self._fall = replace(fall, recovered_s=now_s)
        elif now_s - fall.recovered_s > T.recovery_stays_s:
            self._fall = None
            after = window.trunk_centre[window.t_s > fall.recovered_s + T.recovery_stays_s / 3]
            return is_stationary(after) and moved < T.recovery_place and not lying
        return False


def _last_three(values: F64) -> F64:
    return values[~np.isnan(values)][-3:]
