"""AP-10K's seventeen points by name, and one horse at one instant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

LEFT_EYE, RIGHT_EYE, NOSE, NECK, TAIL = range(5)
LEFT_SHOULDER, LEFT_ELBOW, LEFT_FORE = 5, 6, 7
RIGHT_SHOULDER, RIGHT_ELBOW, RIGHT_FORE = 8, 9, 10
LEFT_HIP, LEFT_KNEE, LEFT_HIND = 11, 12, 13
RIGHT_HIP, RIGHT_KNEE, RIGHT_HIND = 14, 15, 16


class Leg(NamedTuple):
    """Where it leaves the trunk, its middle joint, the hoof."""

    root: int
    joint: int
    hoof: int


LEGS = (
    Leg(LEFT_SHOULDER, LEFT_ELBOW, LEFT_FORE),
    Leg(RIGHT_SHOULDER, RIGHT_ELBOW, RIGHT_FORE),
    Leg(LEFT_HIP, LEFT_KNEE, LEFT_HIND),
    Leg(RIGHT_HIP, RIGHT_KNEE, RIGHT_HIND),
)
ROOTS, HOOVES = np.array([leg.root for leg in LEGS]), np.array([leg.hoof for leg in LEGS])
TRUNK = np.array([NECK, TAIL, *ROOTS])


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """One horse in one frame: `xy` (17, 2) in px of the upright image, NaN where not sure; `box` x0 y0 x1 y1."""

    t_s: float  # CLOCK_MONOTONIC, when the frame was captured
    xy: F64
    box: tuple[float, float, float, float]

    @staticmethod
    def of(
        t_s: float, keypoints: NDArray[np.floating], box: tuple[float, float, float, float], sure: float
    ) -> Sighting:
        """From (17, 3) x, y, score; points below `sure` count as not seen."""
        points = np.asarray(keypoints, np.float64)
        return Sighting(t_s, np.where(points[:, 2:] >= sure, points[:, :2], np.nan), box)

    @property
    def known(self) -> NDArray[np.bool_]:
        """(17,) which points were seen."""
        return ~np.isnan(self.xy[:, 0])
