"""Box walking: the same round through the stall, over and over."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from edged.behaviour.horse.behaviours import last_position
from edged.behaviour.horse.features import FeatureWindow
from edged.behaviour.horse.thresholds import BoxWalking as T
from edged.frame import F64

MAX_PERIOD_S = 1.5  # mean time between two places of a route; longer: the horse was not observed for a while


class BoxWalkingDetector:
    """Keeps the horse's route, one place a second."""

    def __init__(self) -> None:
        self._route: deque[tuple[float, float, float]] = deque(maxlen=T.max_route_s)  # t_s, x px, y px

    def update(self, now_s: float, window: FeatureWindow, *, walking: bool, before: bool) -> bool:
        """Whether the horse is box walking. `before`: the last answer, which holds until there is a new place."""
        centre = window.trunk_centre[~np.isnan(window.trunk_centre[:, 0])]
        if not len(centre) or (self._route and now_s - self._route[-1][0] < T.sample_period_s):
            return walking and before
        x_px, y_px = window.body_length_px * last_position(centre)  # the body length differs from place to place
        self._route.append((now_s, float(x_px), float(y_px)))
        if not walking:
            return False
        return count_rounds(np.array(self._route) / [1, window.body_length_px, window.body_length_px]) >= T.rounds


def count_rounds(route: F64) -> float:
    """How often a route repeats the same round at its end; 0: it does not.

    `route` (N, 3) float64: t_s, x, y in body lengths, one place a second. Source: autocorrelation, one lag per round.
    """
    z = route[:, 1] + 1j * route[:, 2]
    if len(z) < T.min_route_s or route[-1, 0] - route[0, 0] > MAX_PERIOD_S * len(z):
        return 0.0
    best = 0.0
    for lag in range(T.round_s[0], min(T.round_s[1], len(z) // T.rounds) + 1):
        part = z[-max((T.rounds + 1) * lag, T.min_route_s) :]
        part = part - part.mean()
        a, b = part[lag:], part[:-lag]
        power = math.sqrt(float((abs(a) ** 2).sum() * (abs(b) ** 2).sum()))
        if power <= 0 or float((a * b.conj()).real.sum()) / power <= T.min_correlation:
            continue
        if abs(part).mean() > T.min_radius:
            best = max(best, len(part) / lag)
    return best
