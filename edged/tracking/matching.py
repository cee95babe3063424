"""Which detection continues which track: overlap of predicted and detected boxes, assigned greedily."""

from __future__ import annotations

import numpy as np

from edged.frame import F32, I64, Flags
from engines.arrays import box_iou

OTHER_CLASS_PENALTY = 0.3  # IoU, taken off for a detection of another class. Source: `python -m tools.tracking`
GROWTH = np.array([-1, -1, 1, 1], np.float32)  # of x0 y0 x1 y1, for a box that grows on every side


def match_scores(predicted: F32, gate_px: F32, same_class: Flags, detected: F32) -> F32:
    """(T, D) float32: IoU of each predicted with each detected box, both grown by the track's gate; 0: no match.

    predicted   (T, 4) float32: x0 y0 x1 y1 px
    gate_px     (T,) float32: how far the track may be from where it is predicted
    same_class  (T, D) bool
    detected    (D, 4) float32: x0 y0 x1 y1 px
    """
    grown = [
        box_iou(box[None] + gate * GROWTH, detected + gate * GROWTH)
        for box, gate in zip(predicted, gate_px, strict=True)
    ]
    overlaps = np.concatenate(grown)
    return np.clip(np.where(same_class, overlaps, overlaps - OTHER_CLASS_PENALTY), 0, None).astype(np.float32)


def assign(scores: F32, allowed: Flags, track_of: I64) -> I64:
    """(D,) row of the track of each detection, -1 without; the best allowed score is assigned first, and so on.

    scores    (T, D) float32; a score of 0 is never assigned
    allowed   (T, D) bool
    track_of  (D,) int64: assigned before, and kept
    """
    assigned = track_of.tolist()
    taken = set(assigned)
    tracks, detections = np.nonzero(allowed & (scores > 0))
    order = np.argsort(-scores[tracks, detections], kind="stable")
    for track, detection in zip(tracks[order].tolist(), detections[order].tolist(), strict=True):
        if assigned[detection] < 0 and track not in taken:
            assigned[detection] = track
            taken.add(track)
    return np.array(assigned, np.int64)
