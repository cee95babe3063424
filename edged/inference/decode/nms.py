"""Non-maximum suppression: of boxes that show the same thing, the best one stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edged.frame import Boxes, Flags
from engines.arrays import iou_of, shared_and_union

MAX_CANDIDATES = 300  # rows considered, best first; a camera image leaves fewer after suppression


def nms(boxes: Boxes, limit: float, vote_iou: float | None = None) -> Boxes:
    """The boxes that no better box of their class overlaps by an IoU above `limit`, best first.

    Greedy: a box that was removed removes no other. Equal scores keep their order. With `vote_iou` each one that stays
    gets the mean edges, by score, of all boxes of its class that overlap it by that IoU at least, itself among them.
    Source: Gidaris and Komodakis, Object detection via a multi-region CNN model, ICCV 2015 (box voting).
    """
    boxes = boxes.select(np.argsort(-boxes.score, kind="stable")[:MAX_CANDIDATES])
    shared, union = shared_and_union(boxes.xyxy, boxes.xyxy)
    same = boxes.label[:, None] == boxes.label
    stays = ~((shared > limit * union) & same)  # (N, N) beside each of them
    is_open, kept = np.ones(len(boxes), bool), list[int]()
    for best in range(len(boxes)):
        if is_open[best]:
            kept.append(best)
            is_open &= stays[best]
    best_of_all = boxes.select(np.array(kept, np.int64))
    if vote_iou is None:
        return best_of_all
    votes = (iou_of(shared[kept], union[kept]) >= vote_iou) & same[kept]
    return _voted(best_of_all, boxes, votes)


def _voted(kept: Boxes, boxes: Boxes, votes: Flags) -> Boxes:
    """The boxes kept with the mean edges, by score, of those that vote for each (K, N)."""
    weights = np.where(votes, boxes.score.astype(np.float64), 0)
    total = weights.sum(axis=1, keepdims=True)
    # An empty box overlaps nothing, itself neither: it stays as it is.
    xyxy = np.where(total > 0, weights @ boxes.xyxy / np.where(total > 0, total, 1), kept.xyxy)
    return replace(kept, xyxy=xyxy.astype(np.float32))
