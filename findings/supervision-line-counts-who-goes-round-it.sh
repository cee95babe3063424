#!/bin/sh
# supervision 0.31.2, LineZone: a subject is to be counted that passes the line between its two ends, as a gate or a door. The
# line remembers on which side it last saw the subject beside it, and takes no notice of subjects beyond its ends. So who
# goes round an end, never through the gate, is counted as soon as he stands beside the line again, be it minutes later.
# And who comes from beyond an end on one side, and crosses between the ends at a slant, is not counted if there was no
# frame of him beside the line before. For a line that ends at a wall all is well; for a gate in the open it is not.
#
# Seen (line from (50, 0) to (50, 100), the middles of a box of 10 x 10; in and out):
#   through, (20, 50) (40, 50) (60, 50) (80, 50): 1 and 0
#   round an end, (20, 50) (20, 150) (80, 150) (80, 50): 1 and 0
#   through at a slant, (20, 105) (30, 96) (70, 60) (80, 40): 0 and 0
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check supervision==0.31.2 numpy==2.4.6 \
    opencv-python-headless==5.0.0.93
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import supervision

for what, steps, counts in (
    ("through", [(20, 50), (40, 50), (60, 50), (80, 50)], (1, 0)),
    ("round an end", [(20, 50), (20, 150), (80, 150), (80, 50)], (1, 0)),
    ("through at a slant", [(20, 105), (30, 96), (70, 60), (80, 40)], (0, 0)),
):
    line = supervision.LineZone(supervision.Point(50, 0), supervision.Point(50, 100))
    for x, y in steps:
        line.trigger(
            supervision.Detections(
                xyxy=np.array([[x - 5.0, y - 5, x + 5, y + 5]]),
                confidence=np.array([0.9]),
                class_id=np.array([0]),
                tracker_id=np.array([1]),
            )
        )
    print(f"{what}, {' '.join(map(str, steps))}: {line.in_count} and {line.out_count}")
    assert (line.in_count, line.out_count) == counts, counts
PYTHON
