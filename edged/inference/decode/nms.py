"""Non-maximum suppression: of boxes that show the same thing, the best one stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edged.frame import Boxes
from engines.arrays import box_iou

MAX_CANDIDATES = 300  # rows considered, best first; a camera image leaves fewer after suppression


def nms(boxes: Boxes, limit: float, vote_iou: float | None = None) -> Boxes:
    """The boxes that no better box of their class overlaps by an IoU above `limit`, best first.

    Greedy: a box that was removed removes no other. Equal scores keep their order. With `vote_iou` each one that stays
    gets the mean edges, by score, of all boxes of its class that overlap it by that IoU at least, itself among them.
    Source: Gidaris and Komodakis, Object detection via a multi-region CNN model, ICCV 2015 (box voting).
    """
    boxes = boxes.select(np.argsort(-boxes.score, kind="stable")[:MAX_CANDIDATES])
    x0, y0, x1, y1 = boxes.xyxy.T.copy()
    area = np.clip(x1 - x0, 0, None) * np.clip(y1 - y0, 0, None)
    kept, rest = list[int](), np.arange(len(boxes))
    while len(rest):
        best, rest = rest[0], rest[1:]
        kept.append(best)
        wide = np.minimum(x1[best], x1[rest]) - np.maximum(x0[best], x0[rest])
        high = np.minimum(y1[best], y1[rest]) - np.maximum(y0[best], y0[rest])
        shared = np.clip(wide, 0, None) * np.clip(high, 0, None)
        rival = shared > limit * (area[best] + area[rest] - shared)
        rest = rest[~(rival & (boxes.label[rest] == boxes.label[best]))]
    best_of_all = boxes.select(np.array(kept, np.int64))
    return best_of_all if vote_iou is None else _voted(best_of_all, boxes, vote_iou)


def _voted(kept: Boxes, boxes: Boxes, vote_iou: float) -> Boxes:
    votes = (box_iou(kept.xyxy, boxes.xyxy) >= vote_iou) & (kept.label[:, None] == boxes.label)
    weights = np.where(votes, boxes.score.astype(np.float64), 0)
    total = weights.sum(axis=1, keepdims=True)
    # An empty box overlaps nothing, itself neither: it stays as it is.
    xyxy = np.where(total > 0, weights @ boxes.xyxy / np.where(total > 0, total, 1), kept.xyxy)
    return replace(kept, xyxy=xyxy.astype(np.float32))
