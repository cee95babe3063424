"""AP-10K's seventeen keypoints by name, and one horse in one frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edged.frame import F64, Flags

Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in px

LEFT_EYE, RIGHT_EYE, NOSE, NECK, TAIL = range(5)
LEFT_SHOULDER, LEFT_ELBOW, LEFT_FORE = 5, 6, 7
RIGHT_SHOULDER, RIGHT_ELBOW, RIGHT_FORE = 8, 9, 10
LEFT_HIP, LEFT_KNEE, LEFT_HIND = 11, 12, 13
RIGHT_HIP, RIGHT_KNEE, RIGHT_HIND = 14, 15, 16

# Legs: left fore, right fore, left hind, right hind.
ROOTS = np.array([LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_HIP, RIGHT_HIP])  # where a leg leaves the trunk
OPPOSITE_ROOTS = np.array([RIGHT_SHOULDER, LEFT_SHOULDER, RIGHT_HIP, LEFT_HIP])  # of the other leg of the pair
HOOVES = np.array([LEFT_FORE, RIGHT_FORE, LEFT_HIND, RIGHT_HIND])


@dataclass(frozen=True, slots=True, eq=False)
class KeypointObservation:
    """One horse in one frame."""

    t_s: float  # CLOCK_MONOTONIC, when the frame was captured
    xy: F64  # (17, 2) px of the upright image, x first; NaN: below the score threshold
    box: Box

    @staticmethod
    def from_keypoints(t_s: float, keypoints: NDArray[np.floating], box: Box, threshold: float) -> KeypointObservation:
        """From (17, 3) x, y in px and score 0 to 1; keypoints scored below `threshold` become NaN."""
        points = np.asarray(keypoints, np.float64)
        return KeypointObservation(t_s, np.where(points[:, 2:] >= threshold, points[:, :2], np.nan), box)

    @property
    def visible(self) -> Flags:
        """(17,) which keypoints are known."""
        return ~np.isnan(self.xy[:, 0])
