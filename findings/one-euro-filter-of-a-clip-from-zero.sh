#!/bin/sh
# OneEuroFilter 0.2.1, the authors' own package of the filter by which keypoints are smoothed: the time between two values is
# taken from their timestamps, but a timestamp of 0 counts as none. A clip begins at 0, so the step from its first value to
# the second is smoothed as if it had come after 1 / freq, the rate given to the constructor, where values come at another
# one. One recording, from the file and with times of day, comes out differently, and it lasts for all that follows.
#
# Seen (0, then 1, twice a second; freq 30, no beta; from 0 s on and from 100 s on):
#   from 0 s: 0.00 0.17 0.80 0.95 0.99
#   from 100 s: 0.00 0.76 0.94 0.99 1.00
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check OneEuroFilter==0.2.1
"$folder/venv/bin/python" - <<'PYTHON'
from OneEuroFilter import OneEuroFilter

for start, expected in ((0.0, "0.00 0.17 0.80 0.95 0.99"), (100.0, "0.00 0.76 0.94 0.99 1.00")):
    smooth = OneEuroFilter(freq=30, mincutoff=1.0, beta=0.0, dcutoff=1.0)
    seen = " ".join(f"{smooth(float(number > 0), start + number / 2):.2f}" for number in range(5))
    print(f"from {start:g} s: {seen}")
    assert seen == expected, expected
PYTHON
