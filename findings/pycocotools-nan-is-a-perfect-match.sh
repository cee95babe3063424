#!/bin/sh
# pycocotools 2.0.11: a prediction with NaN matches whatever it is compared with, at each threshold: its OKS (or IoU) is
# NaN, and a match is refused only where it is smaller than the threshold, which NaN never is. One joint of NaN, as "not
# found" is often written, lifts a pose that is 500 px off to AP 1; so does NaN in a box. faster-coco-eval 1.8.0, which is
# meant to give the same numbers, counts them as misses.
#
# Seen (AP, pycocotools and faster-coco-eval):
#   poses, all joints 500 px off: 0.0, 0.0
#   poses, the same with one joint NaN: 1.0, 0.0
#   boxes at the right height, x0 NaN: 1.0, 0.0
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pycocotools==2.0.11 faster-coco-eval==1.8.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import contextlib
import io
from copy import deepcopy

import faster_coco_eval
import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

POSE = np.array([[20 + 3 * i, 30 + 2 * i, 2] for i in range(17)], float)
TRUTHS = {
    "info": {},
    "images": [{"id": 1, "width": 999, "height": 999}],
    "categories": [{"id": 1, "name": "person", "keypoints": ["joint"] * 17, "skeleton": []}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": [10, 10, 60, 60], "area": 3600}
        | {"keypoints": POSE.ravel().tolist(), "num_keypoints": 17}
    ],
}


def average_precisions(found, kind):
    found = {"image_id": 1, "category_id": 1, "score": 0.9, **found}
    answers = []
    with contextlib.redirect_stdout(io.StringIO()):
        plain = COCO()
        plain.dataset = deepcopy(TRUTHS)
        plain.createIndex()
        for truths, evaluator in (
            (plain, COCOeval),
            (faster_coco_eval.COCO(deepcopy(TRUTHS)), faster_coco_eval.COCOeval_faster),
        ):
            evaluation = evaluator(truths, truths.loadRes([deepcopy(found)]), kind)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            answers.append(round(float(evaluation.stats[0]), 3))
    return answers


far = POSE + [500, 500, 0]
torn = far.copy()
torn[0, 0] = np.nan
for what, found, kind, wanted in (
    ("poses, all joints 500 px off", {"keypoints": far.ravel().tolist()}, "keypoints", [0, 0]),
    ("poses, the same with one joint NaN", {"keypoints": torn.ravel().tolist()}, "keypoints", [1, 0]),
    ("boxes at the right height, x0 NaN", {"bbox": [float("nan"), 10, 60, 60]}, "bbox", [1, 0]),
):
    answers = average_precisions(found, kind)
    print(f"{what}: {answers[0]}, {answers[1]}")
    assert answers == wanted, answers
PYTHON
