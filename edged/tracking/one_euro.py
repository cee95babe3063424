"""One-Euro smoothing of keypoints in the image and in space: steady at rest, prompt in motion.

Upstream: raw keypoints of tracked subjects. Downstream: `TrackedSubject.smoothed`, `smoothed3d`. Compute thread; one
per camera and class. Time is real, so frames may be irregular; speed is in box sizes per second, so one setting serves
near and far.
Source: Casiez, Roussel & Vogel, CHI 2012; the constants are the paper's own parameters.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from edged.frame import F32, F64, I64, Pose3d
from edged.units import NS_PER_S, ns

# Tuned numbers. Source: chosen by hand for 10 to 30 frames/s; tests/unit/test_one_euro.py states their effect.
# On the demonstration clip half or twice of each moves the error by 1 % and the jitter, a third below that of
# unfiltered keypoints, by 6 % at most: `python -m tools.sensitivity`.
MIN_CUTOFF_HZ = 1.0  # Hz: cut-off for a keypoint at rest
BETA = 4.0  # Hz per size/s: cut-off gained with speed
D_CUTOFF_HZ = 1.0  # Hz: cut-off of the speed estimate
RESTART_NS = ns(0.5)  # an older state is dropped
PERSON_MM = 1000.0  # size of a person, as the square root of a box area: the speeds of joints are measured against it
# Of the root, whose distance is far less sure than the joints among themselves; walking is 0.35 such sizes a second.
ROOT_MM = 4000.0


@dataclass(slots=True, eq=False)
class _State:
    t_ns: int
    at: F64  # (K, D) px or mm, NaN until first measured
    speed: F64  # (K, D) the same a second
    measured_ns: I64  # (K,) when the keypoint last had its full score


class OneEuroFilter:
    """The filters of one camera's subjects of one class, by track id, in the image or in space.

    A keypoint that scores at least `min_score` is filtered as published. One below follows the mean motion of those,
    and is drawn to its own measurement with weight (its score / `min_score`)²: it neither jumps nor freezes. Not finite
    or not above 0: it only follows. A keypoint back after `RESTART_NS` restarts where it is measured. Scores pass
    through unchanged.
    """

    def __init__(self, min_score: float) -> None:
        self._min_score = min_score
        self._states: dict[int, _State] = {}

    def __call__(self, track_id: int, keypoints: F32, size_px: float, t_ns: int) -> F32:
        """(K, D + 1) float32 smoothed x, y px, and the score; x, y are NaN until first measured.

        keypoints  (K, D + 1) float32: x, y px, or x, y, z mm; score; all but the score may be NaN
        size_px    square root of the subject's box area, or its size in mm
        """
        weight = _weight(keypoints, self._min_score)
        measured = np.where(weight[:, None] > 0, keypoints[:, :-1], np.nan).astype(np.float64)
        state = self._states.get(track_id)
        if state is None or state.at.shape != measured.shape or t_ns - state.t_ns > RESTART_NS:
            state = _initial_state(measured, t_ns)
        elif t_ns > state.t_ns:
            _step(state, measured, weight, max(size_px, 1.0), t_ns)
        self._states[track_id] = state
        return np.concatenate([state.at, keypoints[:, -1:]], axis=1, dtype=np.float32)

    def retain(self, track_ids: Iterable[int]) -> None:
        """Drop the states of all other tracks."""
        kept = set(track_ids)
        self._states = {track_id: state for track_id, state in self._states.items() if track_id in kept}


class Pose3dFilter:
    """The filters of one camera's people in space, by track id: joints from the root, and the root, each in mm."""

    def __init__(self) -> None:
        self._joints, self._root = OneEuroFilter(1.0), OneEuroFilter(1.0)

    def __call__(self, track_id: int, pose: Pose3d, t_ns: int) -> Pose3d:
        """The pose with both smoothed."""
        joints = self._joints(track_id, _sure(pose.xyz_mm), PERSON_MM, t_ns)
        root = self._root(track_id, _sure(pose.root_mm[None]), ROOT_MM, t_ns)
        return replace(pose, xyz_mm=joints[:, :-1], root_mm=root[0, :-1])

    def retain(self, track_ids: Iterable[int]) -> None:
        """Drop the states of all other tracks."""
        kept = tuple(track_ids)
        self._joints.retain(kept)
        self._root.retain(kept)


def _sure(points: F32) -> F32:
    """(N, 4) points (N, 3) with the score 1."""
    return np.concatenate([points, np.ones((len(points), 1), np.float32)], axis=1)


def _weight(keypoints: F32, min_score: float) -> F64:
    """(K,) float64 weight of each measurement, 0 to 1."""
    measured = np.isfinite(keypoints).all(axis=1) & (keypoints[:, -1] > 0)
    share = np.where(measured, keypoints[:, -1], 0) / max(min_score, 1e-6)
    return np.asarray(np.minimum(share, 1.0) ** 2, np.float64)


def _initial_state(measured: F64, t_ns: int) -> _State:
    return _State(
        t_ns=t_ns,
        at=measured.copy(),
        speed=np.zeros_like(measured),
        measured_ns=np.full(len(measured), t_ns, np.int64),
    )


def _step(state: _State, measured: F64, weight: F64, size_px: float, t_ns: int) -> None:
    """One filter step in place, from `state.t_ns` to `t_ns`."""
    dt_s = (t_ns - state.t_ns) / NS_PER_S
    full = weight >= 1
    restart = np.isnan(state.at[:, 0]) | (full & (t_ns - state.measured_ns > RESTART_NS))
    before = state.at
    offset = np.nan_to_num(measured - before)
    state.speed += _gain(D_CUTOFF_HZ, dt_s) * weight[:, None] * (offset / dt_s - state.speed)
    speed = np.linalg.norm(state.speed, axis=1) / size_px
    filtered = before + _gain(MIN_CUTOFF_HZ + BETA * speed, dt_s)[:, None] * offset
    moved = (filtered - before)[full & ~restart]
    mean_motion = moved.mean(axis=0) if len(moved) else np.zeros(before.shape[1])
    drawn = weight * _gain(MIN_CUTOFF_HZ, dt_s)
    following = before + mean_motion + drawn[:, None] * np.nan_to_num(measured - before - mean_motion)
    state.at = np.where(full[:, None], filtered, following)
    state.at[restart], state.speed[restart] = measured[restart], 0.0
    state.measured_ns[full] = t_ns
    state.t_ns = t_ns


def _gain(cutoff_hz: F64 | float, dt_s: float) -> F64:
    """Weight of the newest sample in a first-order low-pass (the paper's alpha)."""
    turn = 2 * np.pi * dt_s * np.asarray(cutoff_hz)
    return turn / (turn + 1)
