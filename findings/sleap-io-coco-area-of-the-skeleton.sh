#!/bin/sh
# sleap-io 0.9.5 writes COCO keypoints (save_coco) that pycocotools 2.0.11 judges far too hard: "area" is that of the
# rectangle around the keypoints that are seen, while OKS takes it for the animal's, as it is in COCO. Keypoints in a
# line, as nose, withers and tail of a horse from the side, have an area near 0, and so do two; a pose that is 3 px off
# on an animal of 200 x 100 px then has an AP of 0, and with one keypoint nothing but the exact place counts. And
# predictions are written without their scores and come back as what a person has labelled.
#
# Seen (three keypoints of a back 200 px long, all predicted 3 px too low, sigma 0.05 each; area, AP):
#   the back level to 2 px, as written: 400, 0.0
#   with the animal's area instead: 20000, 1.0
#   predictions: score in the file: False, read as PredictedInstance: False
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check sleap-io==0.9.5 pycocotools==2.0.11 \
    imageio==2.38.1 numpy==2.4.6
cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
import contextlib
import json
import os

import imageio.v3
import numpy
import sleap_io
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

BACK = numpy.array([[100.0, 101.0], [200.0, 100.0], [300.0, 102.0]])
skeleton = sleap_io.Skeleton(["nose", "withers", "tail"])
imageio.v3.imwrite("stall.png", numpy.zeros((240, 400, 3), numpy.uint8))
video = sleap_io.Video.from_filename(["stall.png"])


def written(instance):
    frame = sleap_io.LabeledFrame(video=video, frame_idx=0, instances=[instance])
    sleap_io.save_coco(sleap_io.Labels([frame]), "poses.json")
    with open("poses.json") as file:
        return json.load(file)


def precision(truth):
    found = {"image_id": truth["images"][0]["id"], "category_id": truth["categories"][0]["id"], "score": 0.9}
    found["keypoints"] = numpy.c_[BACK + [0, 3], numpy.ones(3)].ravel().tolist()
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        labels = COCO()
        labels.dataset = truth
        labels.createIndex()
        evaluation = COCOeval(labels, labels.loadRes([found]), "keypoints")
        evaluation.params.kpt_oks_sigmas = numpy.full(3, 0.05)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


truth = written(sleap_io.Instance.from_numpy(BACK, skeleton=skeleton))
note = truth["annotations"][0]
results = [(note["area"], precision(truth))]
note["area"] = 200 * 100
results.append((note["area"], precision(truth)))
for what, (area, value) in zip(("the back level to 2 px, as written", "with the animal's area instead"), results):
    print(f"{what}: {area:.0f}, {value:.1f}")
assert [tuple(round(value, 3) for value in row) for row in results] == [(400, 0), (20000, 1)], results

scores = {"point_scores": numpy.full(3, 0.8), "score": 0.7}
note = written(sleap_io.PredictedInstance.from_numpy(BACK, skeleton=skeleton, **scores))["annotations"][0]
read = sleap_io.load_coco("poses.json")[0].instances[0]
predicted = isinstance(read, sleap_io.PredictedInstance)
print(f"predictions: score in the file: {'score' in note}, read as PredictedInstance: {predicted}")
assert "score" not in note and not predicted
PYTHON
