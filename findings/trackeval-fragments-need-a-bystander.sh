#!/bin/sh
# TrackEval 1.3.0, CLEAR: Frag counts how often a subject that was followed is lost and found again. A frame in which the
# tracker reports nothing at all is passed over before "followed in the frame before" is brought up to date; so a gap is
# counted only if in one of its frames something else is reported: any other subject, or a false alarm. With one subject
# in view, as in a stall, Frag is 0 however often the track breaks; and one false alarm in each gap, which makes the
# tracker worse, makes the fragments appear. The frames with nothing in them are counted right in MOTA and in MT.
#
# Seen (one subject in 60 frames, lost in 10-14, 25-29 and 40-44; fragments, MOTA):
#   nothing else reported: 0, 0.75
#   a false alarm in frame 12: 1, 0.73
#   a false alarm in frames 12, 27 and 42: 3, 0.70
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check trackeval==1.3.0 numpy==2.4.6 scipy==1.17.1
"$folder/venv/bin/python" - <<'PYTHON'
import numpy
from trackeval.metrics import CLEAR

FRAMES, LOST = 60, {*range(10, 15), *range(25, 30), *range(40, 45)}


def evaluate(alarms):
    """Of one subject (0) that track 0 follows exactly; track 1 is far away from it."""
    ids = [[0] * (frame not in LOST) + [1] * (frame in alarms) for frame in range(FRAMES)]
    return CLEAR({"PRINT_CONFIG": False}).eval_sequence({
        "num_timesteps": FRAMES,
        "num_gt_ids": 1,
        "num_tracker_ids": 2,
        "num_gt_dets": FRAMES,
        "num_tracker_dets": sum(map(len, ids)),
        "gt_ids": [numpy.array([0])] * FRAMES,
        "tracker_ids": [numpy.array(row, int) for row in ids],
        "similarity_scores": [numpy.array([[float(track == 0) for track in row]]) for row in ids],
    })


for what, alarms, wanted in (
    ("nothing else reported", (), "0, 0.75"),
    ("a false alarm in frame 12", (12,), "1, 0.73"),
    ("a false alarm in frames 12, 27 and 42", (12, 27, 42), "3, 0.70"),
):
    result = evaluate(alarms)
    found = f"{result['Frag']:.0f}, {result['MOTA']:.2f}"
    print(f"{what}: {found}")
    assert found == wanted, found
PYTHON
