"""Which detection continues which track: overlap of predicted and detected boxes, assigned greedily.

In plain floats: for a handful of boxes they take a seventh of the time that numpy arrays do.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

OTHER_CLASS_PENALTY = 0.3  # IoU, taken off for a detection of another class. Source: `python -m tools.tracking`

Xyxy = tuple[float, float, float, float]  # x0 y0 x1 y1, px


class Detection(NamedTuple):
    """One candidate of the backend."""

    xyxy: Xyxy
    score: float
    label: int
    is_confident: bool  # its score starts a track


class Match(NamedTuple):
    """A detection that may continue a track."""

    score: float
    track: int  # row
    detection: int  # row


def match_score(predicted: Xyxy, gate_px: float, detected: Xyxy, *, same_class: bool) -> float:
    """IoU of two boxes, both grown by the track's gate on every side, less a penalty for another class."""
    overlap = grown_iou(predicted, detected, gate_px)
    return overlap if same_class else overlap - OTHER_CLASS_PENALTY


def assign(matches: Iterable[Match], min_score: float, out: list[int]) -> None:
    """Write the row of its track for each detection into `out`, where it is still -1.

    The best match is assigned first, then the best of the tracks and detections left, and so on. Of equal scores the
    first wins. A score below `min_score`, or not above 0, is no match.
    """
    taken = set(out)
    for match in sorted(matches, key=lambda match: -match.score):
        if match.score < min_score or match.score <= 0:
            return
        if out[match.detection] < 0 and match.track not in taken:
            out[match.detection] = match.track
            taken.add(match.track)


def grown_iou(a: Xyxy, b: Xyxy, grow_px: float = 0.0) -> float:
    """Intersection over union of two boxes, both grown by `grow_px` on every side; 0 for empty boxes."""
    grow = 2 * grow_px
    width = min(a[2], b[2]) - max(a[0], b[0]) + grow
    if width <= 0:
        return 0.0
    height = min(a[3], b[3]) - max(a[1], b[1]) + grow
    if height <= 0:
        return 0.0
    shared = width * height
    area_a = (a[2] - a[0] + grow) * (a[3] - a[1] + grow)
    area_b = (b[2] - b[0] + grow) * (b[3] - b[1] + grow)
    return shared / max(area_a + area_b - shared, 1e-9)
