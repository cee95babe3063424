"""The one subject of a static region: no detector, no association."""

from __future__ import annotations

import numpy as np

from edged.config.tables.camera import StaticRegionConfig
from edged.frame import F32, I64, Boxes, BoxSource, Flags


class StaticRegionTracker:
    """Same interface as `Tracker`; the box never moves, and its id is 1.

    No detector scores the box, so its score is NaN; the pipeline takes that of its keypoints.
    """

    needs_detector = False
    prediction_source: BoxSource = "region"

    def __init__(self, region: StaticRegionConfig, classes: tuple[str, ...], last_id: int = 0) -> None:
        self.last_id = max(1, last_id)
        self._box = Boxes(
            xyxy=np.array([region.box], np.float32),
            score=np.full(1, np.nan, np.float32),
            label=np.array([classes.index(region.label)]),
        )

    def update(self, boxes: Boxes, t_ns: int, may_start: Flags | None = None) -> I64:
        """(N,) int64 of -1: detections are no subjects here."""
        return np.full(len(boxes), -1, np.int64)

    def predict(self, t_ns: int) -> tuple[I64, Boxes]:
        """Id 1 and the region."""
        return np.ones(1, np.int64), self._box

    def update_from_keypoints(self, ids: I64, boxes: Boxes, t_ns: int) -> None:
        """Does nothing: the region does not move."""

    def hold(self, t_ns: int) -> None:
        """Does nothing: the region does not move."""

    def reset(self) -> None:
        """Does nothing: a new scene has the same region."""

    def labels(self, ids: I64) -> I64:
        """(N,) int64 class of the region."""
        return np.repeat(self._box.label, len(ids))

    def scores(self, ids: I64) -> F32:
        """(N,) float32 of NaN: no detector scores the region."""
        return np.repeat(self._box.score, len(ids))
