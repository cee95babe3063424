"""One-Euro smoothing of keypoints (Casiez, Roussel & Vogel, CHI 2012), for the eye: steady at rest, prompt in motion.

Upstream: raw keypoints of tracked subjects; downstream: `Subject.smoothed`. Compute thread; one per camera.
Time is real (frames may be irregular), speed is in box sizes per second: one setting serves near and far.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from edged.frame import F32, F64, I64, SCORE
from edged.units import NS_PER_S, ns

MIN_CUTOFF_HZ = 1.0  # cut-off for a keypoint at rest
BETA = 4.0  # cut-off gained per speed: Hz per (size/s)
D_CUTOFF_HZ = 1.0  # cut-off of the speed estimate itself
RESTART_NS = ns(0.5)  # older state says nothing about now


@dataclass(slots=True, eq=False)
class _State:
    t_ns: int
    xy: F64  # (K, 2) px, NaN until first measured
    speed: F64  # (K, 2) px/s
    measured_ns: I64  # (K,) when the keypoint was last trusted


class OneEuroFilter:
    """The filters of one camera's subjects, by track id.

    A keypoint scored at least `score` is filtered as published. One below is taken along by the mean motion
    of the trusted ones, and drawn to its own measurement with weight (its score / `score`)²: it neither jumps
    to a guess nor stays behind. Not finite or not above 0: only taken along. A keypoint trusted again after
    `RESTART_NS` starts afresh where it is measured. Scores pass through unchanged.
    """

    def __init__(self, min_score: float) -> None:
        self._min_score = min_score
        self._states: dict[int, _State] = {}

    def __call__(self, track: int, keypoints: F32, size_px: float, t_ns: int) -> F32:
        """(K, 3) the smoothed keypoints; `size_px` is the square root of the subject's box area."""
        weight = _weight(keypoints, self._min_score)
        measured = np.where(weight[:, None] > 0, keypoints[:, :2], np.nan).astype(np.float64)
        state = self._states.get(track)
        if state is None or len(state.xy) != len(keypoints) or t_ns - state.t_ns > RESTART_NS:
            state = _initial_state(measured, t_ns)
        elif t_ns > state.t_ns:
            _step(state, measured, weight, max(size_px, 1.0), t_ns)
        self._states[track] = state
        return np.concatenate([state.xy, keypoints[:, SCORE:]], axis=1, dtype=np.float32)

    def retain(self, tracks: Iterable[int]) -> None:
        """Drop the state of every other track."""
        kept = set(tracks)
        self._states = {track: state for track, state in self._states.items() if track in kept}


def _weight(keypoints: F32, min_score: float) -> F64:
    """(K,) trust in each keypoint, 0 to 1."""
    known = np.isfinite(keypoints).all(axis=1) & (keypoints[:, SCORE] > 0)
    trust = np.where(known, keypoints[:, SCORE], 0) / max(min_score, 1e-6)
    return np.asarray(np.minimum(trust, 1.0) ** 2, np.float64)


def _initial_state(measured: F64, t_ns: int) -> _State:
    return _State(
        t_ns=t_ns,
        xy=measured.copy(),
        speed=np.zeros_like(measured),
        measured_ns=np.full(len(measured), t_ns, np.int64),
    )


def _step(state: _State, measured: F64, weight: F64, size_px: float, t_ns: int) -> None:
    """One filter step in place, from `state.t_ns` to `t_ns`."""
    dt_s = (t_ns - state.t_ns) / NS_PER_S
    trusted = weight >= 1
    afresh = np.isnan(state.xy[:, 0]) | trusted & (t_ns - state.measured_ns > RESTART_NS)
    before = state.xy
    offset = np.nan_to_num(measured - before)
    state.speed += _gain(D_CUTOFF_HZ, dt_s) * weight[:, None] * (offset / dt_s - state.speed)
    speed = np.hypot(*state.speed.T) / size_px
    state.xy = before + _gain(MIN_CUTOFF_HZ + BETA * speed, dt_s)[:, None] * offset
    moved = (state.xy - before)[trusted & ~afresh]
    together = moved.mean(axis=0) if len(moved) else np.zeros(2)
    drawn = weight * _gain(MIN_CUTOFF_HZ, dt_s)
    along = before + together + drawn[:, None] * np.nan_to_num(measured - before - together)
    state.xy = np.where(trusted[:, None], state.xy, along)
    state.xy[afresh], state.speed[afresh] = measured[afresh], 0.0
    state.measured_ns[trusted] = t_ns
    state.t_ns = t_ns


def _gain(cutoff_hz: F64 | float, dt_s: float) -> F64:
    """Weight of the newest sample in a first-order low-pass (the paper's alpha)."""
    turn = 2 * np.pi * dt_s * np.asarray(cutoff_hz)
    return turn / (turn + 1)
