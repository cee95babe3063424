"""Non-maximum suppression: of boxes that show the same thing, the best one stays."""

from __future__ import annotations

import numpy as np

from edged.frame import F32, I64, Boxes

CANDIDATES = 300  # rows considered, best first; more never survive in a camera image


def iou(a: F32, b: F32) -> F32:
    """Intersection over union of (N, 4) with (M, 4) boxes: (N, M). Empty boxes overlap nothing."""
    corner = np.maximum(a[:, None, :2], b[None, :, :2])
    opposite = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(opposite - corner, 0, None), axis=2)
    area_a, area_b = (np.prod(np.clip(x[:, 2:] - x[:, :2], 0, None), axis=1) for x in (a, b))
    total = area_a[:, None] + area_b[None, :] - shared
    ratio: F32 = np.divide(shared, total, out=np.zeros_like(shared), where=total > 0)
    return ratio


def nms(boxes: Boxes, limit: float) -> Boxes:
    """Greedy and class-aware: a box goes when a better one of its class overlaps it by more than `limit`.

    Best first; equal scores keep their order.
    """
    boxes = boxes.take(np.argsort(-boxes.score, kind="stable")[:CANDIDATES])
    if len(boxes) < 2:
        return boxes
    rival = (iou(boxes.xyxy, boxes.xyxy) > limit) & (boxes.label[:, None] == boxes.label[None, :])
    alive = np.ones(len(boxes), bool)
    for i in range(len(boxes) - 1):
        if alive[i]:
            alive[i + 1 :] &= ~rival[i, i + 1 :]
    kept: I64 = np.flatnonzero(alive)
    return boxes.take(kept)
