"""Which part of a frame is looked at, and which of the boxes found there are worth a pose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edged.config.types import MIN_SIDE_PX
from edged.errors import OutsideImage
from edged.frame import F32, I64, X0, X1, Y0, Y1, Boxes, Flags, InferenceParams
from engines.arrays import box_iou

LOW_SHARE = 0.5  # of its class's threshold: what a box needs that shows a subject already known
MIN_SCORE = 0.18  # score below which nothing is believed, known or not
HINT = 0.2  # as FAINT, of a box that shows nothing by itself: where a known subject may be that nothing else shows
SAME = 0.5  # overlap with a known subject's expected box that makes it that subject
NEAR = 0.2  # the same, of a hint
BESIDE = 0.5  # most a hint may overlap what is there: it is that subject's then
EDGE = 0.015  # of the picture's width: who reaches that near to its left or right end may be leaving, and is no hint
MISSED = 0.0  # score of a known subject that was not seen of late: only a hint may show it
INCUMBENT = 1.5  # a subject already known keeps its place until another ranks this much better


def clip_region(focus: InferenceParams, size_wh: tuple[int, int]) -> InferenceParams:
    """The focus, its region cut at the image's edges. Raises `OutsideImage` where nothing is left of it."""
    if focus.roi is None:
        return focus
    width, height = size_wh
    x0, y0, x1, y1 = roi = (*focus.roi[:2], min(focus.roi[X1], width), min(focus.roi[Y1], height))
    if min(x1 - x0, y1 - y0) < MIN_SIDE_PX:
        raise OutsideImage(f"roi = {list(focus.roi)} lies outside the image of {width} x {height} px; correct it")
    return focus if roi == focus.roi else replace(focus, roi=roi)


def low_thresholds(focus: InferenceParams) -> F32:
    """(C,) the score from which a box may be of use."""
    scores: F32 = focus.thresholds * np.float32(HINT if focus.bridge else LOW_SHARE)
    return scores


def hints(boxes: Boxes, thresholds: F32) -> Flags:
    """(N,) whether each box is too faint to show anybody by itself."""
    too_faint: Flags = boxes.score < np.maximum(LOW_SHARE * thresholds, MIN_SCORE)[boxes.label]
    return too_faint


def select_detections(boxes: Boxes, known: Boxes, focus: InferenceParams, size_wh: tuple[int, int]) -> Boxes:
    """The sure boxes, and the faint ones of subjects present; at most `focus.limit`, ranked by `focus.pick`.

    After them, where there is room and `focus.bridge`, a hint of each known subject that none of these shows: any box
    that is left. All are cut at the edges of the scene, as MMDetection and the YOLO family do: what a pose model
    learned from ends there too.
    """
    scene = focus.roi or (0, 0, *size_wh)
    boxes = _clip_to_region(boxes, scene)
    sure = boxes.score >= focus.thresholds[boxes.label]
    if sure.all() and len(boxes) <= focus.max_subjects:  # nearly every frame
        return boxes
    met = _met(boxes, known.select(known.score > MISSED), ~hints(boxes, focus.thresholds))
    rows = np.flatnonzero(sure | met)
    if len(rows) > focus.max_subjects:
        ranks = _rank(boxes.select(rows), met[rows], focus, size_wh)
        return boxes.select(rows[np.argsort(-ranks, kind="stable")[: focus.max_subjects]])
    if not focus.bridge:
        return boxes.select(rows)
    left = ~(sure | met | _leaving(boxes, scene))
    pointing = _pointing(boxes, np.flatnonzero(left), boxes.select(rows), known.select(~_leaving(known, scene)))
    return boxes.select(np.concatenate([rows, pointing[: focus.max_subjects - len(rows)]]))


def _clip_to_region(boxes: Boxes, scene: tuple[int, int, int, int]) -> Boxes:
    """What lies in the scene; a box wholly outside is none."""
    xyxy = boxes.xyxy.clip((*scene[:2], *scene[:2]), (*scene[2:], *scene[2:])).astype(np.float32)
    there = (xyxy[:, 2:] > xyxy[:, :2]).all(axis=1)
    cut = Boxes(xyxy=xyxy, score=boxes.score, label=boxes.label)
    return cut if there.all() else cut.select(np.flatnonzero(there))


def _pointing(boxes: Boxes, hint: I64, shown: Boxes, known: Boxes) -> I64:
    """Of the rows of hints the nearest to each known subject that is not shown."""
    shows = (box_iou(shown.xyxy, known.xyxy) >= SAME) & (shown.label[:, None] == known.label[None, :])
    unseen = known.select(~shows.any(axis=0))
    hint = hint[(box_iou(boxes.xyxy[hint], shown.xyxy) < BESIDE).all(axis=1)]
    if not len(hint) or not len(unseen):
        return hint[:0]
    near = box_iou(boxes.xyxy[hint], unseen.xyxy) * (boxes.label[hint][:, None] == unseen.label[None, :])
    return np.unique(hint[near.argmax(axis=0)[near.max(axis=0) >= NEAR]])


def _leaving(boxes: Boxes, scene: tuple[int, int, int, int]) -> Flags:
    """(N,) whether each box reaches the left or right end of the scene: the detector keeps seeing somebody there."""
    left, _, right, _ = scene
    margin = EDGE * (right - left)
    out: Flags = (boxes.xyxy[:, X0] <= left + margin) | (boxes.xyxy[:, X1] >= right - margin)
    return out


def _rank(boxes: Boxes, met: Flags, focus: InferenceParams, size_wh: tuple[int, int]) -> F32:
    if focus.pick == "score":
        return boxes.score
    rank = _size(boxes) if focus.pick == "largest" else _nearness(boxes, focus, size_wh)
    ranked: F32 = np.where(met, rank * INCUMBENT, rank).astype(np.float32)
    return ranked


def _met(boxes: Boxes, known: Boxes, able: Flags) -> Flags:
    """(N,) whether each box shows a known subject of its class: of those able to, only the one that fits best."""
    met = np.zeros(len(boxes), bool)
    if not len(boxes) or not len(known):
        return met
    possible = (boxes.label[:, None] == known.label[None, :]) & able[:, None]
    shared = box_iou(boxes.xyxy, known.xyxy) * possible
    met[shared.argmax(axis=0)[shared.max(axis=0) >= SAME]] = True
    return met


def _size(boxes: Boxes) -> F32:
    area: F32 = (boxes.xyxy[:, X1] - boxes.xyxy[:, X0]) * (boxes.xyxy[:, Y1] - boxes.xyxy[:, Y0])
    return area


def _nearness(boxes: Boxes, focus: InferenceParams, size_wh: tuple[int, int]) -> F32:
    """One over the distance from the box's centre to the centre of the looked-at part."""
    x0, y0, x1, y1 = focus.roi or (0, 0, *size_wh)
    centre = (boxes.xyxy[:, :2] + boxes.xyxy[:, 2:]) / 2
    offset = centre - np.array([(x0 + x1) / 2, (y0 + y1) / 2], np.float32)
    near: F32 = (1 / (1 + np.hypot(offset[:, 0], offset[:, 1]))).astype(np.float32)
    return near
