"""Which of a detector's boxes are posed and handed to the tracker, and which part of a frame is inferred.

select.cu computes the same on the GPU. Any thread.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edged.config.types import MIN_SIDE_PX
from edged.errors import OutsideImage
from edged.frame import F32, X0, X1, Y0, Y1, Boxes, Flags, InferenceParams
from engines.arrays import box_iou

# Tuned numbers. Source: tools/demo/stall.mp4 under the conditions of tools.robustness, against its truth.
LOW_SHARE = 0.5  # of its class's threshold: a candidate's least score
MIN_SCORE = 0.18  # least score of a candidate below its class's threshold, however low that is
PRIOR_IOU = 0.5  # IoU with a prior of its class from which a candidate below the threshold is posed
PRIOR_WEIGHT = 1.5  # rank of a candidate near a prior: it keeps its place until another is this much larger or nearer


def clip_region(params: InferenceParams, size_wh: tuple[int, int]) -> InferenceParams:
    """The parameters, their region cut at the image's edges. Raises `OutsideImage` when nothing is left of it."""
    if params.roi is None:
        return params
    width, height = size_wh
    x0, y0, x1, y1 = roi = (*params.roi[:2], min(params.roi[X1], width), min(params.roi[Y1], height))
    if min(x1 - x0, y1 - y0) < MIN_SIDE_PX:
        raise OutsideImage(f"roi = {list(params.roi)} lies outside the image of {width} x {height} px; correct it")
    return params if roi == params.roi else replace(params, roi=roi)


def low_thresholds(thresholds: F32) -> F32:
    """(C,) float32: the score of each class from which a box is a candidate."""
    low: F32 = np.minimum(thresholds, np.maximum(LOW_SHARE * thresholds, MIN_SCORE)).astype(np.float32)
    return low


def select_detections(boxes: Boxes, priors: Boxes, params: InferenceParams, size_wh: tuple[int, int]) -> Boxes:
    """The candidates for the tracker, at most `params.max_subjects`, best rank first when there are more.

    boxes   all at or above `low_thresholds`, after non-maximum suppression
    priors  where the tracker expects its subjects in this frame

    All are cut at the edges of the region, as MMDetection and the YOLO family do: a pose model learned from such boxes.
    A box below its threshold is a candidate only near a prior of its class: the tracker would drop it elsewhere. That
    bounds its cost. Posing all low boxes would publish the same subjects for 20 % more poses.
    """
    boxes = _clip_to_region(boxes, params.roi or (0, 0, *size_wh))
    confident = boxes.score >= params.thresholds[boxes.label]
    if confident.all() and len(boxes) <= params.max_subjects:  # nearly every frame
        return boxes
    near = _near_prior(boxes, priors)
    rows = np.flatnonzero(confident | near)
    if len(rows) > params.max_subjects:
        ranks = _rank(boxes.select(rows), near[rows], params, size_wh)
        rows = rows[np.argsort(-ranks, kind="stable")[: params.max_subjects]]
    return boxes.select(rows)


def _clip_to_region(boxes: Boxes, region: tuple[int, int, int, int]) -> Boxes:
    """The boxes as far as they lie in the region; those wholly outside are left out."""
    xyxy = boxes.xyxy.clip((*region[:2], *region[:2]), (*region[2:], *region[2:])).astype(np.float32)
    inside: Flags = np.all(xyxy[:, 2:] > xyxy[:, :2], axis=1)
    clipped = Boxes(xyxy=xyxy, score=boxes.score, label=boxes.label)
    return clipped if inside.all() else clipped.select(inside)


def _near_prior(boxes: Boxes, priors: Boxes) -> Flags:
    """(N,) bool: whether each box overlaps a prior of its class."""
    same_class = boxes.label[:, None] == priors.label
    near: Flags = ((box_iou(boxes.xyxy, priors.xyxy) >= PRIOR_IOU) & same_class).any(axis=1)
    return near


def _rank(boxes: Boxes, near: Flags, params: InferenceParams, size_wh: tuple[int, int]) -> F32:
    """(N,) float32 rank of each box, larger is better."""
    if params.pick == "score":
        return boxes.score
    rank = _area(boxes) if params.pick == "largest" else _nearness(boxes, params, size_wh)
    return np.where(near, rank * PRIOR_WEIGHT, rank).astype(np.float32)


def _area(boxes: Boxes) -> F32:
    area: F32 = (boxes.xyxy[:, X1] - boxes.xyxy[:, X0]) * (boxes.xyxy[:, Y1] - boxes.xyxy[:, Y0])
    return area


def _nearness(boxes: Boxes, params: InferenceParams, size_wh: tuple[int, int]) -> F32:
    """One over the distance of the box's centre from the region's centre."""
    x0, y0, x1, y1 = params.roi or (0, 0, *size_wh)
    centre = (boxes.xyxy[:, :2] + boxes.xyxy[:, 2:]) / 2
    offset = centre - np.array([(x0 + x1) / 2, (y0 + y1) / 2], np.float32)
    return (1 / (1 + np.hypot(offset[:, 0], offset[:, 1]))).astype(np.float32)
