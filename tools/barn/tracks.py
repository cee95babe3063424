"""Acts as observations of a pose model: noisy keypoints, px, some hidden or missing, from a camera under the roof."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from edged.behaviour.horse.keypoints import KeypointObservation
from edged.config.tables.camera import MotionGateConfig
from edged.frame import F64
from tools.barn.life import BUSY, CIRCLE_M, CYCLE_HZ, PACE_M_S, TRANSITION_S, Act, on_circle
from tools.barn.moves import FRAMES, motion

PAIRS = ((5, 8), (6, 9), (7, 10), (11, 14), (12, 15), (13, 16))  # left, right: the farther one is often hidden

DEFAULTS = MotionGateConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A motion gate that sees a movement from `sees_px` on, of any keypoint, and has the daemon's defaults."""

    sees_px: float
    rest_s: float = DEFAULTS.rest_s
    refresh_s: float = DEFAULTS.refresh_s


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A pinhole camera, and the faults of its keypoints."""

    position: tuple[float, float, float] = (-2.2, -3.0, 2.7)  # m
    towards: tuple[float, float, float] = (0.0, 0.0, 0.7)
    focal_px: float = 620.0
    size_wh: tuple[int, int] = (1280, 720)
    noise: float = 0.015  # of a body length, standard deviation
    dropped: float = 0.1  # share of the points that are not found
    hidden: float = 0.5  # share of those on the far side that are not found
    idle_hz: float = 1.0  # observations per second while nothing moves
    busy_hz: float = 10.0
    gate: Gate | None = None  # the daemon has a motion gate

    def project(self, points: F64) -> F64:
        """(…, 3) m to (…, 2) px."""
        ahead = np.subtract(self.towards, self.position)
        ahead = ahead / np.linalg.norm(ahead)
        right = np.cross(ahead, (0, 0, 1))
        right /= np.linalg.norm(right)
        down = np.cross(ahead, right)
        in_camera = (points - np.array(self.position)) @ np.stack([right, down, ahead], axis=1)
        middle = np.array(self.size_wh) / 2
        return np.asarray(middle + self.focal_px * in_camera[..., :2] / in_camera[..., 2:])


def observations(acts: list[Act], view: View, rng: np.random.Generator) -> Iterator[KeypointObservation]:
    gated = None if view.gate is None else _Gated(view.gate)
    for act in acts:
        hz = view.busy_hz if act.kind in BUSY else view.idle_hz
        t_s = act.begin_s + np.arange(0, act.seconds, 1 / hz)
        if len(t_s):
            points = points_at(act, t_s)
            seen = _observe(t_s, points, view, rng)
            yield from seen if gated is None else map(gated, view.project(points), seen)


class _Gated:
    """What the stall monitor is given behind a motion gate: the last observation again while nothing moves."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._reference: F64 | None = None  # (17, 2) px, without noise
        self._reference_s = self._moved_s = 0.0
        self._last: KeypointObservation | None = None

    def __call__(self, true_xy: F64, observation: KeypointObservation) -> KeypointObservation:
        t_s, gate = observation.t_s, self._gate
        moved = self._reference is None or bool(np.linalg.norm(true_xy - self._reference, axis=1).max() >= gate.sees_px)
        if moved or t_s - self._reference_s >= gate.refresh_s:
            self._reference, self._reference_s = true_xy, t_s
            self._moved_s = t_s if moved else self._moved_s
        elif self._last is not None and t_s - self._moved_s >= gate.rest_s:
            return replace(self._last, t_s=t_s)
        self._last = observation
        return observation


def points_at(act: Act, t_s: F64) -> F64:
    """(N, 17, 3) keypoints in m, in the stall."""
    frames = motion(act.kind)
    if act.kind in TRANSITION_S:
        phase = (t_s - act.begin_s) / act.seconds * (FRAMES - 1)
    else:
        phase = t_s * CYCLE_HZ.get(act.kind, 0.02) * FRAMES
    low = np.floor(phase).astype(int)
    share = (phase - low)[:, None, None]
    points = frames[low % FRAMES] * (1 - share) + frames[(low + 1) % FRAMES] * share
    if act.kind == "walking":
        return _walking_points(points, act, t_s)
    return _transform(points, np.full(len(t_s), act.heading), np.tile(act.position, (len(t_s), 1)))


def _walking_points(points: F64, act: Act, t_s: F64) -> F64:
    """Walking round the stall."""
    heading = act.heading + (t_s - act.begin_s) * PACE_M_S / CIRCLE_M
    return _transform(points, heading, np.array([on_circle(float(one)) for one in heading]))


def _transform(points: F64, heading: F64, at: F64) -> F64:
    cos, sin = np.cos(heading)[:, None], np.sin(heading)[:, None]
    x, y = points[..., 0], points[..., 1]
    return np.stack([cos * x - sin * y + at[:, :1], sin * x + cos * y + at[:, 1:], points[..., 2]], axis=-1)


def _observe(t_s: F64, points: F64, view: View, rng: np.random.Generator) -> Iterator[KeypointObservation]:
    xy = view.project(points)
    low, high = xy.min(axis=1), xy.max(axis=1)
    room = 0.06 * (high - low)
    length = np.hypot(*np.moveaxis(xy[:, 3] - xy[:, 4], -1, 0))
    scale = np.maximum(length, 0.45 * (high - low).max(axis=1))[:, None, None]
    noisy = xy + rng.normal(0, view.noise, xy.shape) * scale
    noisy[_missing(points, view, rng)] = np.nan
    for i in range(len(t_s)):
        box = (*(low[i] - room[i]).tolist(), *(high[i] + room[i]).tolist())
        yield KeypointObservation(float(t_s[i]), noisy[i], box)


def _missing(points: F64, view: View, rng: np.random.Generator) -> F64:
    """Return which keypoints (N, 17) are missing: random ones, and often those of the farther of two legs."""
    lost = rng.random(points.shape[:2]) < view.dropped
    far = np.linalg.norm(points - np.array(view.position), axis=-1)
    for left, right in PAIRS:
        behind = np.where(
            far[:, left] > far[:, right] + 0.1, left, np.where(far[:, right] > far[:, left] + 0.1, right, -1)
        )
        rows = np.flatnonzero((behind >= 0) & (rng.random(len(points)) < view.hidden))
        lost[rows, behind[rows]] = True
    return np.asarray(lost)
