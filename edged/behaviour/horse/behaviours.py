"""What a horse does, from the last seconds of its measures: each behaviour a pure function of times and positions.

Times (N,) in s; positions (N, …, 2) in body lengths, NaN where nothing was seen. Frequencies need a sampling rate:
where it is too low, or too little was seen, the answer is None and never "no".
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from edged.frame import F64

PLANTED = 0.05  # most a hoof strays that stands
STRIDE = 0.15  # least a hoof moves to have stepped
WENT = 0.3  # least the trunk moves to have walked
WALK_S = 3.0  # source: two or more legs moved within 3 s
PAW_HZ, PAW_CYCLES, PAW_SWING = (0.7, 3.0), 3, 0.06
WEAVE_HZ, WEAVE_CYCLES, WEAVE_SWING = (0.3, 1.5), 3, 0.06
LEAST_HZ = 7.0  # to see 3 Hz at all
SEEN, LEAST_SEEN = 0.6, 0.35  # of the samples: to speak of them, to follow one hoof that another hides
THRASH = 1.5  # body lengths per second of a hoof
FALLEN = 0.75  # of their height that shoulders or hips have left after a fall; source: 40 % lost, on its knees less
FALL_S, CLOSELY_S = 1.5, 1.3  # a fall takes less; three sightings that tell where it ended
FALL_WINDOW_S, SETTLED_S = 7.0, 1.0  # that a fall is looked for in; least of it in which the trunk stayed before
STILL, SANK, TILTED = 0.15, 0.08, 0.12  # of the trunk: most that it strays; least that it moves, or changes its length


def median_of(values: F64) -> float:
    """The median of what was seen; NumPy's own takes longer than all the rest for so few."""
    return median(values.tolist())


def median(values: Iterable[float]) -> float:
    """As `middle`, of plain numbers."""
    seen = sorted(value for value in values if value == value)  # noqa: PLR0124  # NaN differs from itself
    return seen[len(seen) // 2] if seen else math.nan


def mean(values: Iterable[float]) -> float:
    """Of what was seen; NaN of nothing."""
    seen = [value for value in values if value == value]  # noqa: PLR0124
    return sum(seen) / len(seen) if seen else math.nan


def rate_hz(t_s: F64) -> float:
    """Of most of the samples: a pause does not make it low."""
    return 1 / max(median_of(np.diff(t_s)), 1e-3) if len(t_s) > 2 else 0.0


def pawing(t_s: F64, hooves: F64) -> bool | None:
    """One fore hoof going to and fro 0.7-3 times a second, at least three times, the others standing."""
    if rate_hz(t_s) < LEAST_HZ:
        return None
    strays = np.array([_spread(hooves[:, i]) for i in range(4)])
    for fore, others in ((0, (1, 2, 3)), (1, (0, 2, 3))):
        planted = [strays[i] < PLANTED for i in others if not np.isnan(strays[i])]
        if len(planted) < 2 or np.isnan(strays[fore]):
            continue
        if all(planted) and _count_cycles(t_s, _main_axis(hooves[:, fore]), PAW_SWING, PAW_HZ) >= PAW_CYCLES:
            return True
    return False if np.count_nonzero(~np.isnan(strays)) >= 3 else None


def weaving(t_s: F64, nose: F64, hooves: F64) -> bool | None:
    """Head and neck swaying sideways 0.3-1.5 times a second while the hooves stand."""
    if rate_hz(t_s) < LEAST_HZ or _fraction_seen(nose[:, 0]) < SEEN:
        return None
    strays = [stray for i in range(4) if not np.isnan(stray := _spread(hooves[:, i]))]
    if len(strays) < 2:
        return None
    return max(strays) < PLANTED and _count_cycles(t_s, nose[:, 0], WEAVE_SWING, WEAVE_HZ) >= WEAVE_CYCLES


def walking(t_s: F64, hooves: F64, trunk_centre: F64) -> bool | None:
    """Two or more hooves elsewhere than `WALK_S` before, and the trunk with them."""
    if len(t_s) < 3 or t_s[-1] - t_s[0] < 0.7 * WALK_S:
        return None
    went = _displacement(t_s, trunk_centre)
    steps = [_displacement(t_s, hooves[:, i]) for i in range(4)]
    known = [step for step in steps if not np.isnan(step)]
    if np.isnan(went) or len(known) < 2:
        return None
    return bool(went > WENT and sum(step > STRIDE for step in known) >= 2)


def thrashing(t_s: F64, hooves: F64) -> bool | None:
    """A hoof of a horse that lies, moving fast all the time."""
    if rate_hz(t_s) < LEAST_HZ / 2:
        return None
    speeds = [speed for i in range(4) if not np.isnan(speed := _speed(t_s, hooves[:, i]))]
    return max(speeds) > THRASH if speeds else None


def flank_look(nose_at_flank: F64, hooves: F64) -> bool | None:
    """The nose at the flank, most of the time; a horse that shows its end has no flank to look at.

    No fore hoof stirs: who paws hangs its head, and from the front a nose that hangs seems beside the trunk.
    """
    if any(_spread(hooves[:, fore]) > PLANTED for fore in (0, 1)):
        return False
    seen = nose_at_flank[~np.isnan(nose_at_flank)]
    if len(seen) < max(2, LEAST_SEEN * len(nose_at_flank)):
        return None
    return bool(seen.mean() > SEEN)


def find_fall(t_s: F64, heights: F64) -> float | None:
    """When a shoulder or hip (N,) had come much nearer to its hoof within `FALL_S`; None when it had not."""
    known = ~np.isnan(heights)
    t_s, heights = t_s[known], heights[known]
    if len(t_s) < 8:
        return None
    lows = np.sort([heights[i : len(heights) - 4 + i] for i in range(5)], axis=0)[2]  # medians of five
    lows[t_s[4:] - t_s[:-4] > CLOSELY_S] = np.inf
    at = int(np.argmin(lows))
    before = heights[(t_s < t_s[at]) & (t_s >= t_s[at] - FALL_S)]
    usual = median_of(heights[:at][:3])
    return float(t_s[at + 2]) if len(before) and lows[at] < FALLEN * min(usual, before.max()) else None


def last_position(trunk_centre: F64) -> F64:
    """Where the trunk (N, 2) was, last; NaN where it was not seen."""
    seen = trunk_centre[~np.isnan(trunk_centre[:, 0])][-3:]
    return np.array([median_of(seen[:, 0]), median_of(seen[:, 1])])


def is_stationary(trunk_centre: F64) -> bool:
    """Whether the trunk (N, 2) is where it is."""
    seen = trunk_centre[~np.isnan(trunk_centre[:, 0])]
    return len(seen) < 2 or float(np.hypot(*np.ptp(seen, axis=0))) < STILL


def trunk_sank(t_s: F64, trunk_centre: F64, trunk_length: F64, fall_s: float) -> bool:
    """Whether the trunk stayed where it was until shortly before, and then went down or tilted.

    Who walks lifts its feet, and does not fall. `trunk_length` (N,) is the length of its line as seen.
    """
    seen = ~np.isnan(trunk_length)
    before, then = (t_s <= fall_s - FALL_S) & seen, (abs(t_s - fall_s) < 0.4) & seen
    if not then.any() or not before.any() or np.ptp(t_s[before]) < SETTLED_S or not is_stationary(trunk_centre[before]):
        return False
    moved = last_position(trunk_centre[then]) - last_position(trunk_centre[before])
    tilted = median_of(trunk_length[then]) - median_of(trunk_length[before])
    return float(np.hypot(*moved)) > SANK or abs(tilted) > TILTED


def _spread(track: F64) -> float:
    """How far a point strays, robustly; NaN where too little was seen."""
    seen = track[~np.isnan(track[:, 0])]
    if len(seen) < max(3, LEAST_SEEN * len(track)):
        return float("nan")
    return 1.48 * median_of(np.hypot(seen[:, 0] - median_of(seen[:, 0]), seen[:, 1] - median_of(seen[:, 1])))


def _speed(t_s: F64, track: F64) -> float:
    """Usual speed along the path; NaN where too little was seen."""
    seen = ~np.isnan(track[:, 0])
    if np.count_nonzero(seen) < max(4, LEAST_SEEN * len(track)):
        return float("nan")
    steps = np.diff(track[seen], axis=0)
    return median_of(np.hypot(steps[:, 0], steps[:, 1]) / np.diff(t_s[seen]))


def _main_axis(track: F64) -> F64:
    """The position along the direction in which it varies most."""
    seen = ~np.isnan(track[:, 0])
    about = track - np.nanmean(track, axis=0)
    _, _, axes = np.linalg.svd(about[seen], full_matrices=False)
    return np.asarray(about @ axes[0])


def _count_cycles(t_s: F64, position: F64, amplitude: float, band_hz: tuple[float, float]) -> float:
    """Full cycles of at least +-`amplitude` about the drifting middle; 0 when they are not in the band."""
    known = ~np.isnan(position)
    t_s, position = t_s[known], position[known]
    if len(t_s) < 4:
        return 0.0
    position = position - np.polyval(np.polyfit(t_s - t_s[0], position, 1), t_s - t_s[0])
    sides = np.where(position > amplitude, 1, np.where(position < -amplitude, -1, 0))
    out = np.flatnonzero(sides)
    turns = out[1:][np.diff(sides[out]) != 0]
    if len(turns) < 2:
        return 0.0
    cycles = (len(turns) - 1) / 2
    hz = cycles / float(t_s[turns[-1]] - t_s[turns[0]])
    return cycles if band_hz[0] <= hz <= band_hz[1] else 0.0


def _displacement(t_s: F64, track: F64) -> float:
    """From the median of the first third to that of the last."""
    third = (t_s[-1] - t_s[0]) / 3
    first, last = track[t_s <= t_s[0] + third], track[t_s >= t_s[-1] - third]
    if _fraction_seen(first[:, 0]) < SEEN or _fraction_seen(last[:, 0]) < SEEN:
        return float("nan")
    return float(
        np.hypot(median_of(last[:, 0]) - median_of(first[:, 0]), median_of(last[:, 1]) - median_of(first[:, 1]))
    )


def _fraction_seen(values: F64) -> float:
    return float(np.count_nonzero(~np.isnan(values))) / len(values) if len(values) else 0.0
