#!/bin/sh
# TrackEval 1.3.0, HOTA: boxes and subjects are paired once, by overlap times how long the two tracks go together, and
# only then is the pair measured against each threshold. A pair that fails it is a miss and a false alarm, also where
# another box lies exactly on the subject. So DetRe, DetPr and DetA, which are read as those of the detector, depend on
# the names that the tracker gives: a long track that lags behind takes the subject away from exact boxes with short
# tracks, and recall is 0. The same boxes with one name have 1. CLEAR, which asks for the threshold first, has 1 in
# both.
#
# Seen (one subject, 20 frames; an exact box in each, and a box that lags, of IoU 0.30; DetRe of HOTA at 0.25 and 0.5,
# recall of CLEAR at 0.5):
#   exact boxes with one name: 1, 1, 1
#   exact boxes with a new name in each frame: 1, 0, 1
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check trackeval==1.3.0 numpy==2.4.6 scipy==1.17.1
"$folder/venv/bin/python" - <<'PYTHON'
import numpy
from trackeval.metrics import CLEAR, HOTA

FRAMES = 20


def sequence(names):
    """One subject; track 0 lags behind it, the exact box of each frame has the track that `names` gives."""
    return {
        "num_timesteps": FRAMES,
        "num_gt_ids": 1,
        "num_tracker_ids": max(names) + 1,
        "num_gt_dets": FRAMES,
        "num_tracker_dets": 2 * FRAMES,
        "gt_ids": [numpy.array([0])] * FRAMES,
        "tracker_ids": [numpy.array([0, name]) for name in names],
        "similarity_scores": [numpy.array([[0.3, 1.0]])] * FRAMES,
    }


for what, names, wanted in (
    ("exact boxes with one name", [1] * FRAMES, "1, 1, 1"),
    ("exact boxes with a new name in each frame", list(range(1, FRAMES + 1)), "1, 0, 1"),
):
    data = sequence(names)
    hota = HOTA()
    recall = hota.eval_sequence(data)["DetRe"]
    at = [recall[numpy.argmin(abs(hota.array_labels - threshold))] for threshold in (0.25, 0.5)]
    clear = CLEAR({"PRINT_CONFIG": False}).eval_sequence(data)["CLR_Re"]
    found = ", ".join(f"{value:g}" for value in (*at, clear))
    print(f"{what}: {found}")
    assert found == wanted, found
PYTHON
