"""How long and how high the horse of a stall is: learned from it while it stands, and forgotten slowly."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np

from edged.behaviour.horse.features import PoseFeatures
from edged.behaviour.horse.ground_plane import GroundPlane
from edged.behaviour.horse.ground_projection import BodySize
from edged.behaviour.horse.posture import classify_posture

EVERY_S = 5.0  # between two lengths that are kept
KEPT = 720  # an hour of standing
LEAST = 6
BROADSIDE = 1.1  # a leg is at most so long beside the trunk as seen, unless the horse shows its end
PERCENTILE = 90
HIGHEST = 0.8  # of the camera's height, that a trunk may be


class BodySizeEstimator:
    """Body length: the 90th percentile of the line from neck to root of the tail, in px and where possible in m."""

    def __init__(self, ground: GroundPlane | None = None) -> None:
        self._lengths: deque[float] = deque(maxlen=KEPT)  # px; m on a ground
        self._heights_m: deque[float] = deque(maxlen=KEPT)
        self._last_sample_s = -EVERY_S
        self.size = BodySize(ground=ground)

    def update(self, features: PoseFeatures) -> None:
        if (
            features.t_s - self._last_sample_s < EVERY_S
            or classify_posture(features) != "standing"
            or not features.trunk_length_px > 0
        ):
            return
        if features.ground is None:
            if features.leg_reach * features.body_length_px > BROADSIDE * features.trunk_length_px:
                return
            self._lengths.append(features.trunk_length_px)
        elif features.ground.trunk_length_m > 0 and features.ground.trunk_height_m > 0:
            self._lengths.append(features.ground.trunk_length_m)
            self._heights_m.append(features.ground.trunk_height_m)
        self._last_sample_s = features.t_s
        self.size = self._estimate()

    def _estimate(self) -> BodySize:
        known = self.size
        if len(self._lengths) < LEAST:
            return known
        length = float(np.percentile(self._lengths, PERCENTILE))
        if known.ground is None:
            return replace(known, length_px=length)
        high_m = min(float(np.median(self._heights_m)), HIGHEST * known.ground.camera_height_m)
        return replace(known, length_m=length, standing_height_m=high_m)
