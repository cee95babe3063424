"""The average precision and recall that COCO and AP-10K state, computed by pycocotools."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from edged.frame import F64, I64, Flags
from engines.card.schema import SCHEMAS

SIGMAS = {  # of a schema's keypoints: how far annotators differ, in square roots of the subject's area
    "coco-17": (
        *(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062),
        *(0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
    ),
    "ap10k-17": (
        *(0.025, 0.025, 0.026, 0.035, 0.035, 0.079, 0.072, 0.062, 0.079, 0.072, 0.062),
        *(0.107, 0.087, 0.089, 0.107, 0.087, 0.089),
    ),
}
STATS = (0, 1, 2, 3, 4, 5)  # rows of what pycocotools summarises: AP, AP50, AP75, AP medium and large, AR


def sigmas(schema: str, joints: tuple[str, ...]) -> F64:
    """(K,) of some of a schema's keypoints, by name."""
    of = dict(zip(SCHEMAS[schema].keypoints, SIGMAS[schema], strict=True))
    return np.array([of[joint] for joint in joints])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Truths:
    """Annotated subjects, all images together."""

    image: I64  # (G,)
    xyv: F64  # (G, K, 3) x, y in px; v 0 when the keypoint is not labelled
    box_xywh: F64  # (G, 4)
    area_px: F64  # (G,)
    crowd: Flags  # (G,) a region with many subjects


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """What a model says, all images together."""

    image: I64  # (D,)
    xy: F64  # (D, K, 2) px
    score: F64  # (D,)


class Summary(NamedTuple):
    """NaN where no subject counts."""

    ap: float
    ap50: float
    ap75: float
    ap_medium: float
    ap_large: float
    ar: float


def evaluate(truths: Truths, answers: Answers, sigma: F64) -> Summary:
    """AP over OKS 0.50:0.05:0.95, at 0.50 and at 0.75, by area; AR over the same thresholds.

    sigma  (K,) float64, square roots of the subject's area
    At most 20 answers of an image count, best score first.
    Source: the protocol of cocodataset.org, as pycocotools carries it out.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # it prints as it goes
        judge = COCOeval(_index(truths, answers), _results(truths, answers), "keypoints")
        judge.params.kpt_oks_sigmas = np.asarray(sigma)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return Summary(*(float(judge.stats[row]) if judge.stats[row] >= 0 else float("nan") for row in STATS))


def _index(truths: Truths, answers: Answers) -> COCO:
    """The annotations as pycocotools keeps them."""
    annotations = [
        {
            "id": row + 1,
            "image_id": int(truths.image[row]),
            "category_id": 1,
            "iscrowd": int(truths.crowd[row]),
            "area": float(truths.area_px[row]),
            "bbox": truths.box_xywh[row].tolist(),
            "keypoints": truths.xyv[row].ravel().tolist(),
            "num_keypoints": int((truths.xyv[row, :, 2] > 0).sum()),
        }
        for row in range(len(truths.image))
    ]
    images = [{"id": int(image)} for image in np.union1d(truths.image, answers.image)]
    return _coco(
        {"info": {}, "images": images, "annotations": annotations, "categories": [{"id": 1, "name": "subject"}]}
    )


def _results(truths: Truths, answers: Answers) -> COCO:
    """The answers as pycocotools keeps them. An answer's area is that of the box around its keypoints."""
    low, size = (
        answers.xy.min(axis=1, initial=np.inf),
        np.ptp(answers.xy, axis=1) if len(answers.xy) else answers.xy[:, 0],
    )
    index = _index(truths, answers)
    annotations = [
        {
            "id": row + 1,
            "image_id": int(answers.image[row]),
            "category_id": 1,
            "score": float(answers.score[row]),
            "keypoints": np.insert(answers.xy[row], 2, 1, axis=1).ravel().tolist(),
            "area": float(size[row].prod()),
            "bbox": [*low[row].tolist(), *size[row].tolist()],
        }
        for row in range(len(answers.image))
    ]
    return _coco({**index.dataset, "annotations": annotations})


def _coco(dataset: dict[str, Any]) -> COCO:
    coco = COCO()
    coco.dataset = dataset
    coco.createIndex()
    return coco
