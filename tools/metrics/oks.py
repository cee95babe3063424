"""Average precision and recall over OKS, as COCO and AP-10K define them, computed by pycocotools."""

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

SIGMAS = {  # by schema, of each keypoint: standard deviation of annotators, in square roots of the subject's area
    "coco-17": (
        *(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062),
        *(0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
    ),
    "ap10k-17": (
        *(0.025, 0.025, 0.026, 0.035, 0.035, 0.079, 0.072, 0.062, 0.079, 0.072, 0.062),
        *(0.107, 0.087, 0.089, 0.107, 0.087, 0.089),
    ),
}
STATS = (0, 1, 2, 3, 4, 5)  # rows of the summary of pycocotools: AP, AP50, AP75, AP medium and large, AR


def sigmas(schema: str, joints: tuple[str, ...]) -> F64:
    """Return the sigmas (K,) of keypoints of a schema, given by name."""
    of = dict(zip(SCHEMAS[schema].keypoints, SIGMAS[schema], strict=True))
    return np.array([of[joint] for joint in joints])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroundTruth:
    """Annotated subjects, all images together."""

    image: I64  # (G,)
    xyv: F64  # (G, K, 3) x, y in px; v 0 when the keypoint is not labelled
    box_xywh: F64  # (G, 4)
    area_px: F64  # (G,)
    crowd: Flags  # (G,) a region with many subjects


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """The predictions of a model, all images together."""

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


def evaluate(truths: GroundTruth, predictions: Predictions, sigma: F64) -> Summary:
    """Return AP over OKS 0.50:0.05:0.95, at 0.50, at 0.75 and by area, and AR over the same thresholds.

    sigma  (K,) float64, square roots of the subject's area
    At most 20 predictions of an image count, highest score first.
    Source: the protocol of cocodataset.org, as implemented by pycocotools.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        evaluator = COCOeval(_index(truths, predictions), _results(truths, predictions), "keypoints")
        evaluator.params.kpt_oks_sigmas = np.asarray(sigma)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return Summary(*(float(evaluator.stats[row]) if evaluator.stats[row] >= 0 else float("nan") for row in STATS))


def _index(truths: GroundTruth, predictions: Predictions) -> COCO:
    """Return the annotations as a COCO index."""
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
    images = [{"id": int(image)} for image in np.union1d(truths.image, predictions.image)]
    return coco_index(
        {"info": {}, "images": images, "annotations": annotations, "categories": [{"id": 1, "name": "subject"}]}
    )


def _results(truths: GroundTruth, predictions: Predictions) -> COCO:
    """Return the predictions as a COCO index; their area is that of the box around their keypoints."""
    low, size = (
        predictions.xy.min(axis=1, initial=np.inf),
        np.ptp(predictions.xy, axis=1) if len(predictions.xy) else predictions.xy[:, 0],
    )
    index = _index(truths, predictions)
    annotations = [
        {
            "id": row + 1,
            "image_id": int(predictions.image[row]),
            "category_id": 1,
            "score": float(predictions.score[row]),
            "keypoints": np.insert(predictions.xy[row], 2, 1, axis=1).ravel().tolist(),
            "area": float(size[row].prod()),
            "bbox": [*low[row].tolist(), *size[row].tolist()],
        }
        for row in range(len(predictions.image))
    ]
    return coco_index({**index.dataset, "annotations": annotations})


def coco_index(dataset: dict[str, Any]) -> COCO:
    """Return a dataset in COCO's format, indexed; pycocotools prints its progress."""
    coco = COCO()
    coco.dataset = dataset
    coco.createIndex()
    return coco
