"""Horses that pass along an aisle: stride frequency, speed, and whether left and right steps take equally long.

A trend of one horse, never a lameness score: a hoof is located to a few centimetres, and the withers are not among the
keypoints. Upstream: every result of the camera. Downstream: the `daily` message. Lengths in body lengths.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from edged.behaviour.horse.behaviours import rate_hz
from edged.behaviour.horse.features import extract_features
from edged.behaviour.horse.ground_plane import BodySize
from edged.behaviour.horse.keypoints import KeypointObservation
from edged.behaviour.horse.nan_stats import nan_median
from edged.behaviour.horse.thresholds import Gait as T
from edged.behaviour.local_day import ONE_DAY, IsoDate
from edged.frame import F64, FrameResult
from edged.units import NS_PER_S

TREND_FIELDS = ("stride_hz", "body_lengths_per_s", "fore_ratio", "hind_ratio")


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One passage. None: too little was seen of that pair of legs."""

    seconds: float
    strides: float
    stride_hz: float
    body_lengths_per_s: float  # of the trunk
    fore_ratio: float | None  # time of the left step over that of the right one; 1: even
    hind_ratio: float | None


@dataclass(slots=True)
class GaitDay:
    """The passages of one local date, as plain data."""

    date: IsoDate
    passages: list[dict[str, float | None]] = field(default_factory=list)

    def trend(self) -> dict[str, float | None]:
        """The median of each figure over the passages that have it; None without any."""
        known = {name: [one[name] for one in self.passages if one.get(name) is not None] for name in TREND_FIELDS}
        return {
            name: round(nan_median(np.array(values, float)), 2) if values else None for name, values in known.items()
        }


_DAYS = TypeAdapter(dict[str, GaitDay])


class AisleMonitor:
    """One aisle. One thread; `day` survives restarts."""

    def __init__(self, keypoint_threshold: float, day: GaitDay | None, on_change: Callable[[], None]) -> None:
        """`keypoint_threshold`: least score of a visible keypoint. `on_change` is called when `day` has changed."""
        self.day = day
        self._keypoint_threshold = keypoint_threshold
        self._on_change = on_change
        self._tracks: dict[int, list[KeypointObservation]] = {}

    def process(self, result: FrameResult) -> None:
        for subject in result.subjects:
            if subject.label == "horse" and subject.keypoints is not None:
                x0, y0, x1, y1 = map(float, subject.xyxy)
                track = self._tracks.setdefault(subject.id, [])
                if len(track) < T.max_observations:
                    t_s, box = result.captured_ns / NS_PER_S, (x0, y0, x1, y1)
                    keypoints, threshold = subject.keypoints, self._keypoint_threshold
                    track.append(KeypointObservation.from_keypoints(t_s, keypoints, box, threshold))

    def correct(self, today: str) -> None:
        """Give the day of a clock that was ahead its date. Called once the clock is right."""
        if self.day is not None and date.fromisoformat(self.day.date) - date.fromisoformat(today) > ONE_DAY:
            self.day.date = today

    def tick(self, now_s: float, local: datetime) -> None:
        """Measure the horses that have passed."""
        passed = [number for number, track in self._tracks.items() if now_s - track[-1].t_s > T.gone_s]
        for number in passed:
            if (passage := measure_passage(self._tracks.pop(number))) is not None:
                self._add_passage(passage, local.date().isoformat())

    def _add_passage(self, passage: Passage, date: str) -> None:
        if self.day is None or date > self.day.date:
            self.day = GaitDay(date)
        self.day.passages.append(asdict(passage))
        self._on_change()


def parse_gait_days(tables: dict[str, dict[str, Any]]) -> dict[str, GaitDay]:
    """The days of a state file, by camera. Raises ValueError for what is none."""
    return _DAYS.validate_python(tables)


def measure_passage(observations: Sequence[KeypointObservation], body_length_px: float | None = None) -> Passage | None:
    """The passage of one track; None: too short, too low a frame rate, or no walk."""
    seen = [extract_features(one, BodySize(length_px=body_length_px)) for one in observations]
    t_s = np.array([one.t_s for one in seen])
    if len(t_s) < T.min_observations or rate_hz(t_s) < T.min_rate_hz or t_s[-1] - t_s[0] < T.min_s:
        return None
    lengths_px = np.array([one.body_length_px for one in seen])
    scale = lengths_px / nan_median(lengths_px)
    centre = np.array([one.trunk_centre for one in seen]) * scale[:, None]
    way = _direction_and_speed(t_s, centre)
    if way is None:
        return None
    direction, speed = way
    hooves = np.array([one.hooves for one in seen]) * scale[:, None, None]
    grid_s = np.arange(t_s[0], t_s[-1], 1 / T.grid_hz)
    offsets = [_hoof_offset(t_s, (hooves[:, i] - centre) @ direction, grid_s) for i in range(4)]
    stride_hz = _stride_hz(offsets)
    seconds, ratios = float(t_s[-1] - t_s[0]), rate_hz(t_s) >= T.min_ratio_rate_hz
    if stride_hz is None or seconds * stride_hz < T.min_strides:
        return None
    return Passage(
        seconds=round(seconds, 2),
        strides=round(seconds * stride_hz, 1),
        stride_hz=round(stride_hz, 2),
        body_lengths_per_s=round(speed, 2),
        fore_ratio=_step_ratio(grid_s, offsets[0], offsets[1], stride_hz) if ratios else None,
        hind_ratio=_step_ratio(grid_s, offsets[2], offsets[3], stride_hz) if ratios else None,
    )


def _direction_and_speed(t_s: F64, centre: F64) -> tuple[F64, float] | None:
    """Direction (2,) and speed of the trunk (N, 2); None: it does not move away."""
    known = ~np.isnan(centre[:, 0])
    if np.count_nonzero(known) < T.min_seen * len(t_s):
        return None
    velocity = np.polyfit(t_s[known], centre[known], 1)[0]
    speed = float(np.hypot(*velocity))
    if speed * (t_s[-1] - t_s[0]) < T.min_length:
        return None
    return velocity / speed, speed


def _hoof_offset(t_s: F64, offset: F64, grid_s: F64) -> F64 | None:
    """(G,) how far a hoof is ahead of the trunk, resampled, smoothed, about its mean; None: hardly seen."""
    known = ~np.isnan(offset)
    if np.count_nonzero(known) < T.min_seen * len(t_s):
        return None
    even = np.interp(grid_s, t_s[known], offset[known])
    width = max(3, round(T.smoothing_s * T.grid_hz) | 1)
    smooth = np.convolve(np.pad(even, width // 2, mode="edge"), np.hanning(width + 2)[1:-1], mode="valid")
    return np.asarray(smooth - smooth.mean())


def _stride_hz(hooves: Sequence[F64 | None]) -> float | None:
    """From the first lag at which all hooves repeat: the first high peak of their summed autocorrelation.

    Not the highest one: two strides are as alike as one, and at a low frame rate sometimes more so.
    """
    tracks = [one for one in hooves if one is not None]
    if not tracks:
        return None
    low, high = (round(T.grid_hz / hz) for hz in reversed(T.stride_hz))
    high = min(high, len(tracks[0]) // 2)
    likeness = [sum(_autocorrelation(one, lag) for one in tracks) / len(tracks) for lag in range(low, high)]
    if len(likeness) < 3:
        return None
    peaks = [i for i in range(1, len(likeness) - 1) if likeness[i - 1] < likeness[i] >= likeness[i + 1]]
    highest = max((likeness[i] for i in peaks), default=0.0)
    if highest < T.min_correlation or highest < max(likeness) - 1e-9:
        return None
    first = next(i for i in peaks if likeness[i] >= T.first_peak * highest)
    return T.grid_hz / (low + first + _parabola_peak(likeness[first - 1], likeness[first], likeness[first + 1]))


def _autocorrelation(track: F64, lag: int) -> float:
    a, b = track[lag:], track[:-lag]
    return float(a @ b) / max(math.sqrt(float(a @ a) * float(b @ b)), 1e-9)


def _step_ratio(grid_s: F64, left: F64 | None, right: F64 | None, stride_hz: float) -> float | None:
    """Time from the left touchdown to the right one, over the time from the right one to the next left one."""
    if left is None or right is None:
        return None
    lefts, rights = (_touchdowns(grid_s, one, stride_hz) for one in (left, right))
    steps = []
    for left_s in lefts:
        right_s = _first_after(rights, left_s)
        next_s = None if right_s is None else _first_after(lefts, right_s)
        if right_s is not None and next_s is not None:
            steps.append((right_s - left_s, next_s - right_s))
    usual = [(a, b) for a, b in steps if T.step_pair[0] < (a + b) * stride_hz < T.step_pair[1]]
    if len(usual) < T.min_strides - 1:
        return None
    first, second = (nan_median(part) for part in zip(*usual, strict=True))
    return round(first / second, 2)


def _touchdowns(grid_s: F64, track: F64, stride_hz: float) -> list[float]:
    """Times at which a hoof is farthest ahead: just before it bears weight."""
    gap = round(T.touchdown_gap * T.grid_hz / stride_hz)
    peaks: list[int] = []
    for i in np.argsort(track)[::-1]:
        if track[i] <= 0:
            break
        if 0 < i < len(track) - 1 and all(abs(i - other) >= gap for other in peaks):
            peaks.append(int(i))
    return [float(grid_s[i]) + _parabola_peak(track[i - 1], track[i], track[i + 1]) / T.grid_hz for i in sorted(peaks)]


def _parabola_peak(before: float, at: float, after: float) -> float:
    """Where the parabola through three points is highest, from the middle one."""
    bend = before - 2 * at + after
    return 0.0 if bend == 0 else float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5))


def _first_after(times: Sequence[float], after: float) -> float | None:
    return next((t for t in times if t > after), None)
