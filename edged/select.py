"""Which of the boxes found in a frame are worth a pose."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edged.decode.nms import iou
from edged.frame import F32, X0, X1, Y0, Y1, Boxes, Focus

Flags = NDArray[np.bool_]

FAINT = 0.5  # of its class's threshold: what a box needs that shows a subject already known
FAINTEST = 0.18  # score below which nothing is believed, known or not
SAME = 0.5  # overlap with a known subject's expected box that makes it that subject
INCUMBENT = 1.5  # a subject already known keeps its place until another ranks this much better


def best(boxes: Boxes, known: Boxes, focus: Focus, size_wh: tuple[int, int]) -> Boxes:
    """The sure boxes, and the faint ones of known subjects; at most `focus.limit`, ranked by `focus.pick`."""
    sure = boxes.score >= focus.thresholds[boxes.label]
    if sure.all() and len(boxes) <= focus.limit:  # nearly every frame
        return boxes
    met = _met(boxes, known)
    kept = sure | met
    boxes, met = boxes.take(kept), met[kept]
    if len(boxes) <= focus.limit:
        return boxes
    return boxes.take(np.argsort(-_rank(boxes, met, focus, size_wh), kind="stable")[: focus.limit])


def _rank(boxes: Boxes, met: Flags, focus: Focus, size_wh: tuple[int, int]) -> F32:
    if focus.pick == "score":
        return boxes.score
    rank = _size(boxes) if focus.pick == "largest" else _nearness(boxes, focus, size_wh)
    ranked: F32 = np.where(met, rank * INCUMBENT, rank).astype(np.float32)
    return ranked


def _met(boxes: Boxes, known: Boxes) -> Flags:
    """(N,) whether each box shows a known subject of its class: of those that may, only the one that fits best."""
    met = np.zeros(len(boxes), bool)
    if not len(boxes) or not len(known):
        return met
    possible = (boxes.label[:, None] == known.label[None, :]) & (boxes.score[:, None] >= FAINTEST)
    shared = iou(boxes.xyxy, known.xyxy) * possible
    met[shared.argmax(axis=0)[shared.max(axis=0) >= SAME]] = True
    return met


def _size(boxes: Boxes) -> F32:
    area: F32 = (boxes.xyxy[:, X1] - boxes.xyxy[:, X0]) * (boxes.xyxy[:, Y1] - boxes.xyxy[:, Y0])
    return area


def _nearness(boxes: Boxes, focus: Focus, size_wh: tuple[int, int]) -> F32:
    """One over the distance from the box's centre to the centre of the looked-at part."""
    x0, y0, x1, y1 = focus.roi or (0, 0, *size_wh)
    centre = (boxes.xyxy[:, :2] + boxes.xyxy[:, 2:]) / 2
    offset = centre - np.array([(x0 + x1) / 2, (y0 + y1) / 2], np.float32)
    near: F32 = (1 / (1 + np.hypot(offset[:, 0], offset[:, 1]))).astype(np.float32)
    return near
