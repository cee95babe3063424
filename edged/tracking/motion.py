"""How a tracked box moves: a Kalman filter in real time, in units of the box's own size.

One size is the square root of the box area, so one set of numbers serves near and far subjects.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from edged.frame import F32, SCORE
from edged.tracking.matching import Xyxy

# Tuned numbers. Source: `python -m tools.tracking`, synthetic scenes with seeds 0, 1 and 2. On another seed half or
# twice of ACCEL_PSD, VELOCITY_DECAY_S or BOX_STD changes MOTA by 0.005 at most, IDF1 by 0.025 either way
# (`python -m tools.sensitivity`).
INITIAL_SPEED_STD = 1.5  # size/s: of the speed of a new track
ACCEL_PSD = 6.0  # size²/s³: growth of the speed's variance (white-noise acceleration)
VELOCITY_DECAY_S = 1.0  # s: time constant with which an unseen subject slows down
BOX_STD = 0.08  # size: error of a detected box's centre
POSE_STD = 0.12  # size: error of a centre taken from keypoints
MAX_GATE = 0.75  # size: most that a box grows on each side before matching


@dataclass(slots=True, eq=False)
class BoxMotion:
    """Position, size and velocity of one box, and how well they are known. Both axes share one covariance."""

    x: float  # centre, px
    y: float
    w: float  # px
    h: float
    vx: float = 0.0  # px/s
    vy: float = 0.0
    position_var: float = BOX_STD**2  # size²
    position_speed_cov: float = 0.0  # size²/s
    speed_var: float = INITIAL_SPEED_STD**2  # size²/s²

    @staticmethod
    def at_rest(xyxy: Xyxy) -> BoxMotion:
        """A box detected for the first time."""
        x0, y0, x1, y1 = xyxy
        return BoxMotion((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0)

    @property
    def xyxy(self) -> Xyxy:
        return self.x - self.w / 2, self.y - self.h / 2, self.x + self.w / 2, self.y + self.h / 2

    @property
    def gate_px(self) -> float:
        """Standard deviation of the position, at most `MAX_GATE`."""
        return min(math.sqrt(self.position_var), MAX_GATE) * math.sqrt(max(self.w * self.h, 1.0))

    def predict(self, dt_s: float) -> None:
        """Move on by `dt_s`: the speed decays, the variances grow."""
        decay = math.exp(-dt_s / VELOCITY_DECAY_S)
        self.x += self.vx * VELOCITY_DECAY_S * (1 - decay)
        self.y += self.vy * VELOCITY_DECAY_S * (1 - decay)
        self.vx *= decay
        self.vy *= decay
        self.position_var += 2 * self.position_speed_cov * dt_s + self.speed_var * dt_s**2 + ACCEL_PSD * dt_s**3 / 3
        self.position_speed_cov += self.speed_var * dt_s + ACCEL_PSD * dt_s**2 / 2
        self.speed_var += ACCEL_PSD * dt_s

    def stop(self) -> None:
        """The box does not move now."""
        self.vx = self.vy = 0.0

    def correct(self, xyxy: Iterable[float], std: float) -> None:
        """Kalman correction with a measured box (px) of error `std` (size); the size shares the position's gain."""
        x0, y0, x1, y1 = xyxy
        gain, speed_gain = (var / (self.position_var + std**2) for var in (self.position_var, self.position_speed_cov))
        off_x, off_y = (x0 + x1) / 2 - self.x, (y0 + y1) / 2 - self.y
        self.x += gain * off_x
        self.y += gain * off_y
        self.vx += speed_gain * off_x
        self.vy += speed_gain * off_y
        self.w += gain * (x1 - x0 - self.w)
        self.h += gain * (y1 - y0 - self.h)
        self.speed_var -= speed_gain * self.position_speed_cov
        self.position_var *= 1 - gain
        self.position_speed_cov *= 1 - gain


def box_from_keypoints(keypoints: F32, min_score: float, box: F32) -> F32 | None:
    """(4,) float32 px: `box` moved as little as needed to hold every confident keypoint, larger only if it must be.

    keypoints  (K, 3) float32: x, y px, score; x, y may be NaN
    box        (4,) float32: x0 y0 x1 y1 px
    A box that loses the legs from view so neither shrinks nor climbs. None when fewer than a quarter of the
    keypoints, or fewer than three, score at least `min_score`: the position is then unknown.
    """
    confident = keypoints[keypoints[:, SCORE] >= min_score, :2]
    confident = confident[np.isfinite(confident).all(axis=1)]
    if len(confident) < max(3, len(keypoints) / 4):
        return None
    low, high = confident.min(axis=0), confident.max(axis=0)
    wh = np.maximum(box[2:] - box[:2], high - low)
    corner = np.clip((box[:2] + box[2:] - wh) / 2, high - wh, low)
    return np.concatenate([corner, corner + wh]).astype(np.float32)
