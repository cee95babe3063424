"""The trackers compared: ours, and the permissively licensed libraries that are installed."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from edged.config.tables.camera import TrackConfig
from edged.frame import I64, Boxes
from edged.tracking.tracker import Tracker
from tools.tracking.scenes import MIN_CONFIDENT

MAX_AGE_S = 2.0
OUR_OPTIONS = TrackConfig(min_hits=2, max_age_s=MAX_AGE_S)


class AnyTracker(Protocol):
    def update(self, boxes: Boxes, t_ns: int) -> I64: ...  # (N,) id per box, -1 for none


class Supervision:
    """ByteTrack of `supervision` (MIT, up to 0.30); counts frames, so it takes the mean rate."""

    def __init__(self, fps: float) -> None:
        self._sv = import_module("supervision")
        self._track = self._sv.ByteTrack(
            track_activation_threshold=MIN_CONFIDENT,
            lost_track_buffer=round(MAX_AGE_S * 30),
            minimum_matching_threshold=0.8,
            frame_rate=max(1, round(fps)),
            minimum_consecutive_frames=2,
        )

    def update(self, boxes: Boxes, t_ns: int) -> I64:
        found = self._track.update_with_detections(_detections(self._sv, boxes))
        return _by_row(len(boxes), found.data.get("row", []), found.tracker_id)


class Roboflow:
    """ByteTrack or SORT of `trackers` (Apache-2.0)."""

    def __init__(self, fps: float, name: str, **extra: Any) -> None:
        self._sv = import_module("supervision")
        self._track = getattr(import_module("trackers"), name)(
            lost_track_buffer=round(MAX_AGE_S * 30),
            frame_rate=fps,
            track_activation_threshold=MIN_CONFIDENT,
            minimum_consecutive_frames=2,
            minimum_iou_threshold=0.2,
            **extra,
        )

    def update(self, boxes: Boxes, t_ns: int) -> I64:
        found = self._track.update(_detections(self._sv, boxes))
        return _by_row(len(boxes), found.data.get("row", []), found.tracker_id)


class Norfair:
    """Norfair (BSD-3): Kalman filter and IoU distance."""

    def __init__(self, fps: float) -> None:
        self._norfair = import_module("norfair")
        self._track = self._norfair.Tracker(
            distance_function="iou",
            distance_threshold=0.8,
            hit_counter_max=round(MAX_AGE_S * fps),
            initialization_delay=1,
        )

    def update(self, boxes: Boxes, t_ns: int) -> I64:
        ids = np.full(len(boxes), -1, np.int64)
        confident = np.flatnonzero(boxes.score >= MIN_CONFIDENT).tolist()
        corners = boxes.xyxy.reshape(-1, 2, 2).astype(float)
        found = [self._norfair.Detection(corners[i], data=(t_ns, i)) for i in confident]
        for track in self._track.update(detections=found):
            at_ns, row = track.last_detection.data
            if at_ns == t_ns:
                ids[row] = track.id
        return ids


def _detections(sv: Any, boxes: Boxes) -> Any:
    rows = {"row": np.arange(len(boxes))}
    return sv.Detections(xyxy=boxes.xyxy, confidence=boxes.score, class_id=boxes.label, data=rows)


def _by_row(n: int, rows: Any, ids: Any) -> I64:
    out = np.full(n, -1, np.int64)
    if len(rows):
        out[np.asarray(rows, np.int64)] = ids
    return out


TrackerFactory = Callable[[float], AnyTracker]  # takes the mean rate of the frames, Hz

TRACKERS: dict[str, TrackerFactory] = {
    "edged": lambda fps: Tracker(OUR_OPTIONS, new_track_thresholds=MIN_CONFIDENT),
    "supervision ByteTrack": Supervision,
    "trackers ByteTrack": lambda fps: Roboflow(fps, "ByteTrackTracker", high_conf_det_threshold=MIN_CONFIDENT),
    "trackers SORT": lambda fps: Roboflow(fps, "SORTTracker"),
    "norfair": Norfair,
}
