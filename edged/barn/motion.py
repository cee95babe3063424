"""What a horse does, from the last seconds of its measures: each behaviour a pure function of times and positions.

Times (N,) in s; positions (N, …, 2) in body lengths, NaN where nothing was seen. Frequencies need a sampling rate:
where it is too low, or too little was seen, the answer is None and never "no".
"""

from __future__ import annotations

import numpy as np

from edged.barn.points import F64

PLANTED = 0.05  # most a hoof strays that stands
STRIDE = 0.15  # least a hoof moves to have stepped
WENT = 0.3  # least the trunk moves to have walked
WALK_S = 3.0  # source: two or more legs moved within 3 s
PAW_HZ, PAW_CYCLES, PAW_SWING = (0.7, 3.0), 3, 0.06
WEAVE_HZ, WEAVE_CYCLES, WEAVE_SWING = (0.3, 1.5), 3, 0.06
LEAST_HZ = 7.0  # to see 3 Hz at all
SEEN = 0.6  # of the samples
THRASH = 1.5  # body lengths per second of a hoof
INSIDE = (0.15, 0.95)  # along the trunk, where the nose is at the flank
CLOSE = 0.6  # from the trunk's line
DROP = 0.4  # of the trunk's height, lost in a fall
FALL_S = 1.0


def rate_hz(t_s: F64) -> float:
    return (len(t_s) - 1) / float(t_s[-1] - t_s[0]) if len(t_s) > 1 and t_s[-1] > t_s[0] else 0.0


def pawing(t_s: F64, hooves: F64) -> bool | None:
    """One fore hoof going to and fro 0.7-3 times a second, at least three times, the others standing."""
    if rate_hz(t_s) < LEAST_HZ:
        return None
    strays = np.array([_stray(hooves[:, i]) for i in range(4)])
    for fore, others in ((0, (1, 2, 3)), (1, (0, 2, 3))):
        planted = [strays[i] < PLANTED for i in others if not np.isnan(strays[i])]
        if len(planted) < 2 or np.isnan(strays[fore]):
            continue
        if all(planted) and _swings(t_s, _main_axis(hooves[:, fore]), PAW_SWING, PAW_HZ) >= PAW_CYCLES:
            return True
    return False if np.count_nonzero(~np.isnan(strays)) >= 3 else None


def weaving(t_s: F64, nose: F64, hooves: F64) -> bool | None:
    """Head and neck swaying sideways 0.3-1.5 times a second while the hooves stand."""
    if rate_hz(t_s) < LEAST_HZ or _share_seen(nose[:, 0]) < SEEN:
        return None
    strays = [stray for i in range(4) if not np.isnan(stray := _stray(hooves[:, i]))]
    if len(strays) < 2:
        return None
    return max(strays) < PLANTED and _swings(t_s, nose[:, 0], WEAVE_SWING, WEAVE_HZ) >= WEAVE_CYCLES


def walking(t_s: F64, hooves: F64, centre: F64) -> bool | None:
    """Two or more hooves elsewhere than `WALK_S` before, and the trunk with them."""
    if len(t_s) < 3 or t_s[-1] - t_s[0] < 0.7 * WALK_S:
        return None
    went = _went(t_s, centre)
    steps = [_went(t_s, hooves[:, i]) for i in range(4)]
    known = [step for step in steps if not np.isnan(step)]
    if np.isnan(went) or len(known) < 2:
        return None
    return bool(went > WENT and sum(step > STRIDE for step in known) >= 2)


def thrashing(t_s: F64, hooves: F64) -> bool | None:
    """Hooves of a horse that lies, moving fast."""
    if len(t_s) < 4 or rate_hz(t_s) < LEAST_HZ / 2:
        return None
    paths = np.hypot(*np.moveaxis(np.diff(hooves, axis=0), -1, 0)) / np.diff(t_s)[:, None]
    fastest = [float(np.nanmedian(paths[:, i])) for i in range(4) if _share_seen(paths[:, i]) >= SEEN]
    return max(fastest) > THRASH if len(fastest) >= 2 else None


def looks_back(along: F64, aside: F64, length: F64) -> bool | None:
    """The nose at the flank; `length` (N,) is the trunk as seen: a horse that shows its end has no flank to look at."""
    seen = ~np.isnan(along) & (length > 0.6)
    if np.count_nonzero(seen) < max(2, SEEN * len(along)):
        return None
    there = (along > INSIDE[0]) & (along < INSIDE[1]) & (aside < CLOSE)
    return bool(there[seen].mean() > SEEN)


def fell(t_s: F64, height: F64) -> bool:
    """The trunk lost `DROP` of its height within `FALL_S`."""
    known = ~np.isnan(height)
    t_s, height = t_s[known], height[known]
    if len(t_s) < 5:
        return False
    high, low = np.median(height[:3]), np.median(height[-2:])
    above = np.flatnonzero(height > high * (1 - DROP / 4))
    return bool(low < (1 - DROP) * high and len(above) and t_s[-2] - t_s[above[-1]] <= FALL_S)


def _stray(track: F64) -> float:
    """How far a point strays, robustly; NaN where too little was seen."""
    seen = track[~np.isnan(track[:, 0])]
    if len(seen) < max(3, SEEN * len(track)):
        return float("nan")
    return float(1.48 * np.median(np.hypot(*(seen - np.median(seen, axis=0)).T)))


def _main_axis(track: F64) -> F64:
    """The position along the direction in which it varies most."""
    seen = ~np.isnan(track[:, 0])
    middle = track - np.nanmean(track, axis=0)
    _, _, axes = np.linalg.svd(middle[seen], full_matrices=False)
    return np.asarray(middle @ axes[0])


def _swings(t_s: F64, place: F64, swing: float, band_hz: tuple[float, float]) -> float:
    """Full cycles of at least +-`swing` about the drifting middle; 0 when they are not in the band."""
    known = ~np.isnan(place)
    t_s, place = t_s[known], place[known]
    if len(t_s) < 4:
        return 0.0
    place = place - np.polyval(np.polyfit(t_s - t_s[0], place, 1), t_s - t_s[0])
    sides = np.where(place > swing, 1, np.where(place < -swing, -1, 0))
    out = np.flatnonzero(sides)
    turns = out[1:][np.diff(sides[out]) != 0]
    if len(turns) < 2:
        return 0.0
    cycles = (len(turns) - 1) / 2
    hz = cycles / float(t_s[turns[-1]] - t_s[turns[0]])
    return cycles if band_hz[0] <= hz <= band_hz[1] else 0.0


def _went(t_s: F64, track: F64) -> float:
    """From the median of the first third to that of the last."""
    third = (t_s[-1] - t_s[0]) / 3
    first, last = track[t_s <= t_s[0] + third], track[t_s >= t_s[-1] - third]
    if _share_seen(first[:, 0]) < SEEN or _share_seen(last[:, 0]) < SEEN:
        return float("nan")
    return float(np.hypot(*(np.nanmedian(last, axis=0) - np.nanmedian(first, axis=0))))


def _share_seen(values: F64) -> float:
    return float(np.count_nonzero(~np.isnan(values))) / len(values) if len(values) else 0.0
