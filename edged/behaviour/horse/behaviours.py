"""What a horse does, from the features of the last seconds; and how a behaviour is counted.

Times (N,) in s, positions (N, 2) or (N, 4, 2) in body lengths, float64; NaN: not visible. None as an answer means that
the frame rate was too low or too little was visible; it never means "no". The functions are pure.
"""

from __future__ import annotations

import numpy as np

from edged.behaviour.horse.nan_stats import nan_median
from edged.behaviour.horse.thresholds import Behaviours as T
from edged.behaviour.horse.thresholds import Bout
from edged.frame import F64

STD_PER_MAD = 1.48  # standard deviation of a normal distribution over its median absolute deviation


def rate_hz(t_s: F64) -> float:
    """The median frame rate: a pause does not lower it."""
    return 1 / max(nan_median(np.diff(t_s)), 1e-3) if len(t_s) > 2 else 0.0


def pawing(t_s: F64, hooves: F64) -> bool | None:
    """Whether one of `hooves` (N, 4, 2), left fore, right fore, left hind, right hind, paws while the others stand.

    That is: a fore hoof goes back and forth in `paw_hz`, at least `paw_cycles` times.
    """
    if rate_hz(t_s) < T.min_rate_hz:
        return None
    spreads = np.array([_spread(hooves[:, i]) for i in range(4)])
    for fore, others in ((0, (1, 2, 3)), (1, (0, 2, 3))):
        planted = [spreads[i] < T.planted_spread for i in others if not np.isnan(spreads[i])]
        if len(planted) < 2 or np.isnan(spreads[fore]) or not all(planted):
            continue
        if _count_cycles(t_s, _main_axis(hooves[:, fore]), T.paw_amplitude, T.paw_hz) >= T.paw_cycles:
            return True
    return False if np.count_nonzero(~np.isnan(spreads)) >= 3 else None


def weaving(t_s: F64, nose: F64, hooves: F64) -> bool | None:
    """Whether the nose (N, 2) sways sideways in `weave_hz`, `weave_cycles` times or more; hooves (N, 4, 2) stand."""
    if rate_hz(t_s) < T.min_rate_hz or _fraction_seen(nose[:, 0]) < T.min_seen:
        return None
    spreads = [spread for i in range(4) if not np.isnan(spread := _spread(hooves[:, i]))]
    if len(spreads) < 2:
        return None
    if max(spreads) >= T.planted_spread:
        return False
    return _count_cycles(t_s, nose[:, 0], T.weave_amplitude, T.weave_hz) >= T.weave_cycles


def walking(t_s: F64, hooves: F64, trunk_centre: F64) -> bool | None:
    """Whether two or more hooves (N, 4, 2) and the trunk (N, 2) have moved within `walk_window_s`."""
    if len(t_s) < 3 or t_s[-1] - t_s[0] < T.walk_min_window * T.walk_window_s:
        return None
    trunk = _displacement(t_s, trunk_centre)
    steps = [step for i in range(4) if not np.isnan(step := _displacement(t_s, hooves[:, i]))]
    if np.isnan(trunk) or len(steps) < 2:
        return None
    return bool(trunk > T.walk_length and sum(step > T.step_length for step in steps) >= T.walk_hooves)


def thrashing(t_s: F64, hooves: F64) -> bool | None:
    """Whether a hoof (N, 4, 2) of a lying horse moves fast all the time."""
    if rate_hz(t_s) < T.min_rate_hz / 2:
        return None
    speeds = [speed for i in range(4) if not np.isnan(speed := _speed(t_s, hooves[:, i]))]
    return max(speeds) > T.thrash_speed if speeds else None


def flank_look(nose_at_flank: F64, hooves: F64) -> bool | None:
    """Whether the nose is at the flank most of the time, the fore hooves of (N, 4, 2) still.

    nose_at_flank  (N,) 1: it is there, 0: not, NaN: not known

    A pawing horse hangs its head, and from the front a hanging nose appears beside the trunk.
    """
    if any(_spread(hooves[:, fore]) > T.planted_spread for fore in (0, 1)):
        return False
    seen = nose_at_flank[~np.isnan(nose_at_flank)]
    if len(seen) < max(2, T.min_seen_hoof * len(nose_at_flank)):
        return None
    return bool(seen.mean() > T.min_seen)


def find_fall(t_s: F64, heights: F64) -> float | None:
    """When a shoulder or hip, (N,) heights above its hoof, had sunk much within `fall_s`; None: it had not."""
    known = ~np.isnan(heights)
    t_s, heights = t_s[known], heights[known]
    if len(t_s) < T.min_fall_samples:
        return None
    lows = np.sort([heights[i : len(heights) - 4 + i] for i in range(5)], axis=0)[2]  # medians of five
    lows[t_s[4:] - t_s[:-4] > T.fall_samples_s] = np.inf
    lowest = int(np.argmin(lows))
    before = heights[(t_s < t_s[lowest]) & (t_s >= t_s[lowest] - T.fall_s)]
    if not len(before):
        return None
    standing = min(nan_median(heights[:lowest][:3]), before.max())
    return float(t_s[lowest + 2]) if lows[lowest] < T.fall_height * standing else None


def trunk_sank(t_s: F64, trunk_centre: F64, trunk_length: F64, fall_s: float) -> bool:
    """Whether the trunk (N, 2), of length (N,), stayed in its place until shortly before `fall_s`; then sank or tilted.

    A walking horse lifts its feet too, and does not fall.
    """
    seen = ~np.isnan(trunk_length)
    before, during = (t_s <= fall_s - T.fall_s) & seen, (abs(t_s - fall_s) < T.fall_match_s) & seen
    if not during.any() or not before.any() or np.ptp(t_s[before]) < T.fall_settled_s:
        return False
    if not is_stationary(trunk_centre[before]):
        return False
    moved = last_position(trunk_centre[during]) - last_position(trunk_centre[before])
    tilted = nan_median(trunk_length[during]) - nan_median(trunk_length[before])
    return float(np.hypot(*moved)) > T.sink_length or abs(tilted) > T.sink_tilt


def last_position(trunk_centre: F64) -> F64:
    """(2,) the last known place of the trunk (N, 2); NaN: none is known."""
    seen = trunk_centre[~np.isnan(trunk_centre[:, 0])][-3:]
    return np.array([nan_median(seen[:, 0]), nan_median(seen[:, 1])])


def is_stationary(trunk_centre: F64) -> bool:
    """Whether the trunk (N, 2) stays in its place."""
    seen = trunk_centre[~np.isnan(trunk_centre[:, 0])]
    return len(seen) < 2 or float(np.hypot(*np.ptp(seen, axis=0))) < T.stationary_spread


def _spread(track: F64) -> float:
    """The robust standard deviation of a point (N, 2); NaN where too little was seen."""
    seen = track[~np.isnan(track[:, 0])]
    if len(seen) < max(3, T.min_seen_hoof * len(track)):
        return float("nan")
    x, y = seen[:, 0], seen[:, 1]
    return STD_PER_MAD * nan_median(np.hypot(x - nan_median(x), y - nan_median(y)))


def _speed(t_s: F64, track: F64) -> float:
    """The median speed along the path; NaN where too little was seen."""
    seen = ~np.isnan(track[:, 0])
    if np.count_nonzero(seen) < max(4, T.min_seen_hoof * len(track)):
        return float("nan")
    steps = np.diff(track[seen], axis=0)
    return nan_median(np.hypot(steps[:, 0], steps[:, 1]) / np.diff(t_s[seen]))


def _main_axis(track: F64) -> F64:
    """(N,) the position along the direction in which it varies most."""
    seen = ~np.isnan(track[:, 0])
    centred = track - np.nanmean(track, axis=0)
    _, _, axes = np.linalg.svd(centred[seen], full_matrices=False)
    return np.asarray(centred @ axes[0])


def _count_cycles(t_s: F64, position: F64, amplitude: float, band_hz: tuple[float, float]) -> float:
    """Full cycles of at least +-`amplitude` about the drifting mean; 0 when they are not in the band."""
    known = ~np.isnan(position)
    t_s, position = t_s[known], position[known]
    if len(t_s) < 4:
        return 0.0
    position = position - np.polyval(np.polyfit(t_s - t_s[0], position, 1), t_s - t_s[0])
    sides = np.where(position > amplitude, 1, np.where(position < -amplitude, -1, 0))
    outside = np.flatnonzero(sides)
    turns = outside[1:][np.diff(sides[outside]) != 0]
    if len(turns) < 2:
        return 0.0
    cycles = (len(turns) - 1) / 2
    hz = cycles / float(t_s[turns[-1]] - t_s[turns[0]])
    return cycles if band_hz[0] <= hz <= band_hz[1] else 0.0


def _displacement(t_s: F64, track: F64) -> float:
    """From the median of the first third to that of the last; NaN where too little was seen."""
    third = (t_s[-1] - t_s[0]) / 3
    first, last = track[t_s <= t_s[0] + third], track[t_s >= t_s[-1] - third]
    if _fraction_seen(first[:, 0]) < T.min_seen or _fraction_seen(last[:, 0]) < T.min_seen:
        return float("nan")
    dx, dy = (nan_median(last[:, axis]) - nan_median(first[:, axis]) for axis in (0, 1))
    return float(np.hypot(dx, dy))


def _fraction_seen(values: F64) -> float:
    return float(np.count_nonzero(~np.isnan(values))) / len(values) if len(values) else 0.0


class BoutDetector:
    """One behaviour of one horse, second by second, as bouts: joined over short breaks, counted once."""

    def __init__(self, thresholds: Bout) -> None:
        self._thresholds = thresholds
        self._start_s: float | None = None
        self._last_active_s = 0.0

    def update(self, t_s: float, active: bool | None) -> float | None:
        """The length in s of a bout that has just ended and counts, else None. `active` None: unknown."""
        if active:
            self._start_s = t_s if self._start_s is None else self._start_s
            self._last_active_s = t_s
            return None
        if self._start_s is None or t_s - self._last_active_s <= self._thresholds.merge_gap_s:
            return None
        length_s, self._start_s = self._last_active_s - self._start_s, None
        return length_s if self._thresholds.min_s <= length_s <= self._thresholds.max_s else None
