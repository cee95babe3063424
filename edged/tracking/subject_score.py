"""How likely a box shows a subject: the detection, confirmed or refuted by the keypoints inside it.

Upstream: the backend's candidates. Downstream: the tracker, which shows what reaches its threshold. Any thread.
Source: box scores rescored by keypoint scores, as in Papandreou et al., CVPR 2017, here with fitted weights.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edged.frame import F32, F64, SCORE, Boxes, Flags
from engines.card import Pose

CLEARANCE = 1e-3  # from 0 and 1, of the scores whose logarithms are taken
LOW_ODDS = 0.1  # of those of its threshold, from which a box continues a subject. Source: tools/demo/stall.mp4


def subject_scores(
    boxes: Boxes, keypoints: tuple[F32 | None, ...], classes: tuple[str, ...], poses: Mapping[str, Pose]
) -> Boxes:
    """The boxes with the probability in [0, 1] that each shows a subject as its score.

    keypoints  per box (K, 3) x, y, score
    sigmoid(detection · logit(score) + keypoints · logit(mean keypoint score) + offset), the weights being those of the
    pose model's card. Where that has none, or the score is NaN (a region without detector), the score stays.
    """
    score = boxes.score.copy()
    for row, (label, points) in enumerate(zip(boxes.label.tolist(), keypoints, strict=True)):
        pose = poses.get(classes[label])
        if pose is None or pose.subject is None or points is None or not np.isfinite(score[row]):
            continue
        evidence = pose.subject
        detection, mean = logit(np.array([score[row], points[:, SCORE].mean()], np.float64))
        score[row] = 1 / (1 + np.exp(-(evidence.detection * detection + evidence.keypoints * mean + evidence.offset)))
    return Boxes(xyxy=boxes.xyxy, score=score, label=boxes.label)


def refuted(boxes: Boxes, thresholds: F32) -> Flags:
    """(N,) bool: whether the score is too low even for a subject that is present.

    thresholds  (C,) float32 the score from which a subject of each class is shown; NaN scores are not refuted
    """
    wanted = thresholds[boxes.label]
    low: Flags = boxes.score * (1 - wanted) < LOW_ODDS * wanted * (1 - boxes.score)
    return low


def logit(p: F64) -> F64:
    """The logarithms of the odds of probabilities, of any shape, that are kept clear of 0 and 1."""
    p = p.clip(CLEARANCE, 1 - CLEARANCE)
    logits: F64 = np.log(p / (1 - p))
    return logits
