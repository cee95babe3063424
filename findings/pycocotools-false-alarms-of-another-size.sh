#!/bin/sh
# pycocotools 2.0.11 and faster-coco-eval 1.8.0, poses: a result has no box, so its size is that of a box around all joints,
# also of those that were not found and are written as 0, 0, as COCO's own format has it. Such a pose reaches to the corner of
# the image. A false alarm counts against AP of medium subjects only if it is of medium size; with one joint at 0, 0 it is
# large, and where the image has no large subject it counts against nothing. So AP medium doubles here, by leaving a joint out.
# Those that match a subject are counted by the subject's size, so that nothing is lost by it. AP over all sizes stays.
#
# Seen (two medium subjects, found, and two false alarms with higher scores; AP, AP of medium, by both):
#   no false alarms: 1.0 1.0, 1.0 1.0
#   false alarms: 0.5 0.5, 0.5 0.5
#   false alarms with one joint at 0, 0: 0.5 1.0, 0.5 1.0
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

POSE = np.array([[100 + 3 * i, 100 + 2 * i, 2] for i in range(17)], float)
FALSE = POSE + [400, 400, 0]
TORN = FALSE.copy()
TORN[0] = 0
TRUTHS = {
    "info": {},
    "images": [{"id": i, "width": 999, "height": 999} for i in (1, 2)],
    "categories": [{"id": 1, "name": "person", "keypoints": ["joint"] * 17, "skeleton": []}],
    "annotations": [
        {"id": i, "image_id": i, "category_id": 1, "iscrowd": 0, "bbox": [90, 90, 70, 60], "area": 4200}
        | {"keypoints": POSE.ravel().tolist(), "num_keypoints": 17}
        for i in (1, 2)
    ],
}


def found(pose, score):
    return [{"image_id": i, "category_id": 1, "score": score, "keypoints": pose.ravel().tolist()} for i in (1, 2)]


def average_precisions(results):
    """AP and AP of medium size."""
    answers = []
    with contextlib.redirect_stdout(io.StringIO()):
        plain = COCO()
        plain.dataset = deepcopy(TRUTHS)
        plain.createIndex()
        for truths, evaluator in (
            (plain, COCOeval),
            (faster_coco_eval.COCO(deepcopy(TRUTHS)), faster_coco_eval.COCOeval_faster),
        ):
            evaluation = evaluator(truths, truths.loadRes(deepcopy(results)), "keypoints")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            answers.append([round(float(evaluation.stats[i]), 1) for i in (0, 3)])
    return answers


right = found(POSE, 0.8)
for what, results, expected in (
    ("no false alarms", right, [1, 1]),
    ("false alarms", right + found(FALSE, 0.9), [0.5, 0.5]),
    ("false alarms with one joint at 0, 0", right + found(TORN, 0.9), [0.5, 1]),
):
    answers = average_precisions(results)
    print(f"{what}: {', '.join(' '.join(map(str, answer)) for answer in answers)}")
    assert answers == [expected, expected], answers
PYTHON
