"""How long and how high the horse of a stall is: learned while it stands, and forgotten slowly."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from edged.behaviour.horse.features import PoseFeatures
from edged.behaviour.horse.ground_plane import BodySize, GroundPlane
from edged.behaviour.horse.horse_memory import MAX_SAMPLES
from edged.behaviour.horse.thresholds import BodySizes as T


class BodySizeEstimator:
    """Body length: the 90th percentile of the line from neck to root of the tail; on a ground plane also in metres."""

    def __init__(self, ground: GroundPlane | None = None) -> None:
        self._lengths: deque[float] = deque(maxlen=T.max_samples)  # px; m on a ground plane
        self._heights_m: deque[float] = deque(maxlen=T.max_samples)
        self._last_sample_s = -T.sample_period_s
        self.size = BodySize(ground=ground)

    def update(self, features: PoseFeatures) -> None:
        """Take in an observation of a horse that stands."""
        if features.t_s - self._last_sample_s < T.sample_period_s:
            return
        if not features.trunk_length_px > 0:
            return
        if features.ground is None:
            if features.leg_reach * features.body_length_px > T.broadside_leg * features.trunk_length_px:
                return
            self._lengths.append(features.trunk_length_px)
        else:
            self._lengths.append(features.ground.trunk_length_m)
            self._heights_m.append(features.ground.trunk_height_m)
        self._last_sample_s = features.t_s
        self.size = self._estimate()

    @property
    def samples(self) -> tuple[list[float], list[float]]:
        """Lengths and heights that tell the same size, MAX_SAMPLES at most, for `restore`."""
        return _thinned(self._lengths), _thinned(self._heights_m)

    def restore(self, lengths: Sequence[float], heights_m: Sequence[float]) -> None:
        """Go on with the samples of an estimator of the same images and ground."""
        if self.size.ground is not None and len(heights_m) != len(lengths):
            return
        self._lengths.extend(lengths)
        self._heights_m.extend(heights_m)
        self.size = self._estimate()

    def _estimate(self) -> BodySize:
        if len(self._lengths) < T.min_samples:
            return self.size
        length = float(np.percentile(self._lengths, T.length_percentile))
        if self.size.ground is None:
            return replace(self.size, length_px=length)
        height_m = min(float(np.median(self._heights_m)), T.max_height * self.size.ground.camera_height_m)
        return replace(self.size, length_m=length, standing_height_m=height_m)


def _thinned(samples: Collection[float]) -> list[float]:
    """Samples of the same distribution, MAX_SAMPLES at most, in rising order."""
    if not samples:
        return []
    at = np.linspace(0, 1, min(len(samples), MAX_SAMPLES))
    return [round(float(sample), 4) for sample in np.quantile(list(samples), at)]
