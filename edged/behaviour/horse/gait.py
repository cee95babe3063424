"""One passage of a horse along an aisle: how often it strides, how fast it goes, whether left and right take as long.

A trend of one horse, never a lameness score: a hoof in the picture is known to a few centimetres, and the withers are
not among the points. Pure; times in s, lengths in body lengths.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edged.behaviour.horse.behaviours import median_of, rate_hz
from edged.behaviour.horse.features import extract_features
from edged.behaviour.horse.ground_projection import BodySize
from edged.behaviour.horse.points import KeypointObservation
from edged.frame import F64

LEAST_HZ, LEAST_S, LEAST_LENGTHS = 10.0, 2.0, 2.0  # sampling, duration, way
RATIO_HZ = 20.0  # sampling for the times of steps: at 12 an even horse reads up to 1.5
SEEN = 0.5  # of a hoof's samples
GRID_HZ = 50.0
STRIDE_HZ = (0.5, 2.5)  # slow walk to fast trot
SMOOTH_S = 0.12
LEAST_STRIDES = 3
ALIKE, AS_HIGH = 0.4, 0.8  # of one stride to the next; share of the highest peak that the first one reaches


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """What one passage showed; None where too little was seen of that pair of legs."""

    seconds: float
    strides: float
    stride_hz: float
    speed: float  # body lengths per second
    fore_ratio: float | None  # left step's time over the right one's; 1: even
    hind_ratio: float | None


def measure_passage(observations: Sequence[KeypointObservation], body_length_px: float | None = None) -> Passage | None:
    """None when it was too short, too slow a camera, or no walk at all."""
    seen = [extract_features(one, BodySize(length_px=body_length_px)) for one in observations]
    t_s = np.array([one.t_s for one in seen])
    if len(t_s) < 8 or rate_hz(t_s) < LEAST_HZ or t_s[-1] - t_s[0] < LEAST_S:
        return None
    length_px = median_of(np.array([one.body_length_px for one in seen]))
    scale = np.array([one.body_length_px for one in seen]) / length_px
    centre = np.array([one.trunk_centre for one in seen]) * scale[:, None]
    way = _direction_and_speed(t_s, centre)
    if way is None:
        return None
    hooves = np.array([one.hooves for one in seen]) * scale[:, None, None]
    grid_s = np.arange(t_s[0], t_s[-1], 1 / GRID_HZ)
    ahead = [_hoof_offset(t_s, (hooves[:, i] - centre) @ way[0], grid_s) for i in range(4)]
    stride_hz = _stride_hz(ahead)
    seconds, timed = float(t_s[-1] - t_s[0]), rate_hz(t_s) >= RATIO_HZ
    if stride_hz is None or seconds * stride_hz < LEAST_STRIDES:
        return None
    return Passage(
        seconds=round(seconds, 2),
        strides=round(seconds * stride_hz, 1),
        stride_hz=round(stride_hz, 2),
        speed=round(way[1], 2),
        fore_ratio=_step_ratio(grid_s, ahead[0], ahead[1], stride_hz) if timed else None,
        hind_ratio=_step_ratio(grid_s, ahead[2], ahead[3], stride_hz) if timed else None,
    )


def _direction_and_speed(t_s: F64, centre: F64) -> tuple[F64, float] | None:
    """Direction and speed of the trunk; None when it goes nowhere."""
    known = ~np.isnan(centre[:, 0])
    if np.count_nonzero(known) < SEEN * len(t_s):
        return None
    velocity = np.polyfit(t_s[known], centre[known], 1)[0]
    speed = float(np.hypot(*velocity))
    if speed * (t_s[-1] - t_s[0]) < LEAST_LENGTHS:
        return None
    return velocity / speed, speed


def _hoof_offset(t_s: F64, offset: F64, grid_s: F64) -> F64 | None:
    """How far a hoof is ahead of the trunk, evenly in time, smoothed, about its mean; None when hardly seen."""
    known = ~np.isnan(offset)
    if np.count_nonzero(known) < SEEN * len(t_s):
        return None
    even = np.interp(grid_s, t_s[known], offset[known])
    width = max(3, round(SMOOTH_S * GRID_HZ) | 1)
    smooth = np.convolve(np.pad(even, width // 2, mode="edge"), np.hanning(width + 2)[1:-1], mode="valid")
    return np.asarray(smooth - smooth.mean())


def _stride_hz(hooves: Sequence[F64 | None]) -> float | None:
    """The first lag at which all hooves do as before: the first peak of their summed autocorrelation that is about as
    high as any. Two strides are as alike as one, and where the camera is slow sometimes more so."""
    tracks = [one for one in hooves if one is not None]
    if not tracks:
        return None
    low, high = (round(GRID_HZ / hz) for hz in reversed(STRIDE_HZ))
    high = min(high, len(tracks[0]) // 2)
    likeness = [sum(_autocorrelation(one, lag) for one in tracks) / len(tracks) for lag in range(low, high)]
    if len(likeness) < 3:
        return None
    peaks = [i for i in range(1, len(likeness) - 1) if likeness[i - 1] < likeness[i] >= likeness[i + 1]]
    highest = max((likeness[i] for i in peaks), default=0.0)
    if highest < ALIKE or highest < max(likeness) - 1e-9:
        return None
    best = next(i for i in peaks if likeness[i] >= AS_HIGH * highest)
    return GRID_HZ / (low + best + _parabola_peak(likeness[best - 1], likeness[best], likeness[best + 1]))


def _autocorrelation(track: F64, lag: int) -> float:
    a, b = track[lag:], track[:-lag]
    return float(a @ b) / max(math.sqrt(float(a @ a) * float(b @ b)), 1e-9)


def _step_ratio(grid_s: F64, left: F64 | None, right: F64 | None, stride_hz: float) -> float | None:
    """Left step over right step: from the left hoof set down to the right one, over from the right to the next left."""
    if left is None or right is None:
        return None
    lefts, rights = (_touchdowns(grid_s, one, stride_hz) for one in (left, right))
    there = [t for begin in lefts if (t := _first_after(rights, begin)) is not None]
    steps = [(r - b, e - r) for b, r in zip(lefts, there) if (e := _first_after(lefts, r)) is not None]  # noqa: B905
    usual = [(a, b) for a, b in steps if 0.6 < (a + b) * stride_hz < 1.4]
    if len(usual) < LEAST_STRIDES - 1:
        return None
    first, second = (median_of(np.array(part)) for part in zip(*usual, strict=True))
    return round(first / second, 2)


def _touchdowns(grid_s: F64, track: F64, stride_hz: float) -> list[float]:
    """When a hoof is farthest ahead: just before it bears weight."""
    apart = round(0.6 * GRID_HZ / stride_hz)
    peaks: list[int] = []
    for i in np.argsort(track)[::-1]:
        if track[i] <= 0:
            break
        if 0 < i < len(track) - 1 and all(abs(i - other) >= apart for other in peaks):
            peaks.append(int(i))
    return [float(grid_s[i]) + _parabola_peak(track[i - 1], track[i], track[i + 1]) / GRID_HZ for i in sorted(peaks)]


def _parabola_peak(before: float, at: float, after: float) -> float:
    """Where the parabola through three points is highest, from the middle one."""
    bend = before - 2 * at + after
    return 0.0 if bend == 0 else float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5))


def _first_after(times: Sequence[float], after: float) -> float | None:
    return next((t for t in times if t > after), None)
