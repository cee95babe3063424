"""Non-maximum suppression: of boxes that show the same thing, the best one stays."""

from __future__ import annotations

import numpy as np

from edged.frame import Boxes

MAX_CANDIDATES = 300  # rows considered, best first; a camera image leaves fewer after suppression


def nms(boxes: Boxes, limit: float) -> Boxes:
    """The boxes that no better box of their class overlaps by an IoU above `limit`, best first.

    Greedy: a box that was removed removes no other. Equal scores keep their order.
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
    return boxes.select(np.array(kept, np.int64))
