"""What a contender does in one domain: found and false subjects, silence, joints, average precision.

Subjects count from 48 px of height on; a box is right at an IoU of 0.5 with a subject of its class, best score first.
A joint is right within 0.1 of the longer side of its subject's box; those of subjects that were not found are wrong.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from edged.frame import F32, XY, Boxes, TrackedSubject
from engines.arrays import box_iou, shared_area
from engines.card.schema import SCHEMAS
from tools.evaluate.photographs.contenders import Contender
from tools.evaluate.photographs.domains import CLASSES, Picture, Subject, places
from tools.metrics.oks import GroundTruth, Predictions, coco_index, evaluate, sigmas
from tools.robustness.conditions import Condition, clean

MIN_HEIGHT_PX, MIN_IOU, JOINT_SHARE = 48, 0.5, 0.1
MIN_IGNORED = 0.5  # share of a box inside an ignored region, from which it does not count as false
HEIGHTS = {"48-96 px": (48, 96), "96-192 px": (96, 192), "192 px and more": (192, 1e5)}
AREA = 0.53  # of a person per area of its box, as COCO's segments have it on average; for OKS


@dataclass(slots=True)
class Counts:
    """Of one class in one domain."""

    label: str
    names: tuple[str, ...]  # of its keypoints
    subjects: int = 0
    found: int = 0
    false: int = 0
    boxed: int = 0  # images with a box of the class
    joints: int = 0
    right: int = 0
    posed: int = 0  # joints in true boxes
    posed_right: int = 0
    rows: list[tuple[int, Subject, F32]] = field(default_factory=list)  # image, subject, its keypoints in the true box
    boxes: list[tuple[int, F32, F32]] = field(default_factory=list)  # image, candidates (N, 4), their scores (N,)


def run(contender: Contender, pictures: Sequence[Picture], condition: Condition = clean) -> dict[str, Any]:
    """Return the figures of a domain, by class, and how often nothing was published."""
    counts = {
        label: Counts(label, SCHEMAS[contender.poses[label].schema_name].keypoints)
        for label in CLASSES
        if label in contender.poses
    }
    silent = 0
    for number, picture in enumerate(pictures):
        image = condition(picture.read(), np.random.default_rng([11, number]))
        published = contender.subjects(image)
        silent += not published
        _, rescored, _ = contender.candidates(image)
        for label, count in counts.items():
            _count(count, picture, [subject for subject in published if subject.label == label])
            posed = [subject for subject in picture.of(label) if subject.keypoints]
            boxes = np.array([subject.box for subject in posed], np.float32).reshape(-1, 4)
            _pose(count, number, posed, contender.keypoints(image, label, boxes) if posed else [])
            count.boxes.append((number, *_of(rescored, contender.backend.classes.index(label))))
    figures = {label: _figures(count, pictures, contender) for label, count in counts.items()}
    return {"pictures": len(pictures), "silent": silent / max(len(pictures), 1), **figures}


def _of(boxes: Boxes, label: int) -> tuple[F32, F32]:
    rows = boxes.label == label
    return boxes.xyxy[rows], boxes.score[rows]


def _count(count: Counts, picture: Picture, published: list[TrackedSubject]) -> None:
    """Add what is published of a class."""
    published = sorted(published, key=lambda subject: -subject.score)
    truths = picture.of(count.label)
    boxes = np.array([subject.xyxy for subject in published], np.float32).reshape(-1, 4)
    box_of = matched(boxes, np.array([subject.box for subject in truths], np.float32).reshape(-1, 4))
    count.boxed += len(boxes) > 0
    for row, subject in enumerate(truths):
        if subject.box[3] - subject.box[1] < MIN_HEIGHT_PX:
            continue
        at = box_of.get(row)
        count.subjects += 1
        count.found += at is not None
        right, joints = _right(subject, None if at is None else published[at].keypoints, count.names)
        count.right, count.joints = count.right + right, count.joints + joints
    if count.label in picture.complete:
        free = [i for i in range(len(boxes)) if i not in box_of.values()]
        count.false += sum(counts_as_false(boxes[i], picture.ignored) for i in free)


def matched(boxes: F32, truths: F32) -> dict[int, int]:
    """Return the box of each truth that is found; boxes choose in their order."""
    box_of: dict[int, int] = {}
    shared = box_iou(boxes, truths)
    for i in range(len(boxes)):
        open_ = [j for j in range(len(truths)) if j not in box_of and shared[i, j] >= MIN_IOU]
        if open_:
            box_of[max(open_, key=lambda j: shared[i, j])] = i
    return box_of


def counts_as_false(box: F32, ignored: F32) -> bool:
    if box[3] - box[1] < MIN_HEIGHT_PX:
        return False
    return bool(shared_area(box[None], ignored).max(initial=0) < MIN_IGNORED * (box[2:] - box[:2]).prod())


def _right(subject: Subject, found: F32 | None, names: Sequence[str]) -> tuple[int, int]:
    """Return how many joints of a subject are right, and how many are labelled."""
    truth = places(subject, names)
    labelled = np.isfinite(truth[:, 0])
    if found is None:
        return 0, int(labelled.sum())
    side = float((subject.box[2:] - subject.box[:2]).max())
    near = np.linalg.norm(found[:, XY] - truth, axis=1) <= JOINT_SHARE * side
    return int((near & labelled).sum()), int(labelled.sum())


def _pose(count: Counts, image: int, subjects: list[Subject], keypoints: list[F32]) -> None:
    """Add the keypoints found in the true boxes."""
    for subject, points in zip(subjects, keypoints, strict=True):
        right, joints = _right(subject, points, count.names)
        count.posed_right, count.posed = count.posed_right + right, count.posed + joints
        count.rows.append((image, subject, points))


def _figures(count: Counts, pictures: Sequence[Picture], contender: Contender) -> dict[str, Any]:
    def share(part: int, whole: int) -> float:
        return part / whole if whole else float("nan")

    return {
        "subjects": count.subjects,
        "recall": share(count.found, count.subjects),
        "precision": share(count.found, count.found + count.false),
        "boxed": share(count.boxed, len(pictures)),
        "joints": share(count.right, count.joints),
        "joints, true boxes": share(count.posed_right, count.posed),
        "OKS-AP, true boxes": _oks_ap(count, contender.poses[count.label].schema_name),
        "AP": _box_ap(count, pictures),
    }


def _oks_ap(count: Counts, schema: str) -> float:
    """AP over OKS 0.50:0.05:0.95 in the true boxes."""
    if not count.rows or schema not in ("coco-17", "ap10k-17"):
        return float("nan")
    names = SCHEMAS[schema].keypoints
    truth = np.array([places(subject, names) for _, subject, _ in count.rows])
    seen = np.isfinite(truth[..., :1])
    boxes = np.array([subject.box for _, subject, _ in count.rows], np.float64)
    image = np.array([number for number, _, _ in count.rows], np.int64)
    xywh = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    found = np.array([points for _, _, points in count.rows], np.float64)
    truths = GroundTruth(
        image=image,
        xyv=np.concatenate([np.nan_to_num(truth), 2.0 * seen], axis=2),
        box_xywh=xywh,
        area_px=AREA * xywh[:, 2:].prod(axis=1),
        crowd=np.zeros(len(image), bool),
    )
    predictions = Predictions(image=image, xy=np.nan_to_num(found[..., XY]), score=found[..., 2].mean(axis=1))
    return evaluate(truths, predictions, sigmas(schema, names)).ap


def _box_ap(count: Counts, pictures: Sequence[Picture]) -> dict[str, float]:
    """AP over IoU 0.50:0.05:0.95, of all and by height; images whose truth is not complete do not count."""
    index, results = _indices(count, pictures)
    if not index.anns or not results.anns:
        return {}
    ranges = {"all": (MIN_HEIGHT_PX, 1e5), **HEIGHTS}
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator = COCOeval(index, results, "bbox")
        evaluator.params.areaRng = [[low**2, high**2] for low, high in ranges.values()]
        evaluator.params.areaRngLbl = list(ranges)
        evaluator.evaluate()
        evaluator.accumulate()
    precision = evaluator.eval["precision"][:, :, 0, :, -1]  # IoU, recall, range
    best = [precision[..., at][precision[..., at] >= 0] for at in range(len(ranges))]
    return {name: float(rows.mean()) if len(rows) else float("nan") for name, rows in zip(ranges, best, strict=True)}


def _indices(count: Counts, pictures: Sequence[Picture]) -> tuple[COCO, COCO]:
    """Return truth and candidates as COCO indices; areas are squares of heights, so that ranges are of heights."""
    complete = {number for number, picture in enumerate(pictures) if count.label in picture.complete}
    truths = [
        _annotation(number, box, iscrowd=int(crowd))
        for number in complete
        for box, crowd in [(subject.box, False) for subject in pictures[number].of(count.label)]
        + [(box, True) for box in pictures[number].ignored]
    ]
    found = [
        _annotation(number, box, score=float(score))
        for number, boxes, scores in count.boxes
        if number in complete
        for box, score in zip(boxes, scores, strict=True)
    ]
    return _coco(complete, truths), _coco(complete, found)


def _annotation(image: int, box: F32, **more: Any) -> dict[str, Any]:
    x0, y0, x1, y1 = (float(side) for side in box)
    size = [x0, y0, x1 - x0, y1 - y0]
    return {"image_id": image, "category_id": 1, "bbox": size, "area": (y1 - y0) ** 2, "iscrowd": 0, **more}


def _coco(images: set[int], annotations: list[dict[str, Any]]) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return coco_index(
            {
                "info": {},
                "images": [{"id": image} for image in sorted(images)],
                "annotations": [{"id": i + 1, **one} for i, one in enumerate(annotations)],
                "categories": [{"id": 1, "name": "subject"}],
            }
        )
