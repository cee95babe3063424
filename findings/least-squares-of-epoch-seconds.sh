#!/bin/sh
# numpy 2.4.6 and scipy 1.17.1: linalg.lstsq of a line through readings of today, with their times as seconds since
# 1970, gives slope 0 and no warning: beside times of 1.8e9 the column of ones, or what changes in ten minutes, is below
# the accuracy at which both libraries drop a direction (rank is 1 of 2, which nobody reads). numpy.polyfit and scipy's
# linregress scale or centre first, and are right with the same numbers. Times less the first one are right in all.
#
# Seen (ten readings, a minute apart, rising by 6 an hour; slope per hour):
#   numpy.linalg.lstsq: 0.0, rank 1
#   scipy.linalg.lstsq: 0.0, rank 1
#   numpy.polyfit: 6.0
#   scipy.stats.linregress: 6.0
#   numpy.linalg.lstsq, times less the first one: 6.0, rank 2
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check scipy==1.17.1 numpy==2.4.6
"$folder/venv/bin/python" -W error - <<'PYTHON'
import numpy as np
import scipy.linalg
import scipy.stats

rise = np.arange(10) * 60.0
times, readings = 1_795_220_801 + rise, 38 + rise / 600


def line(t):
    return np.stack([t, np.ones(len(t))], axis=1)


answers = {
    "numpy.linalg.lstsq": np.linalg.lstsq(line(times), readings),
    "scipy.linalg.lstsq": scipy.linalg.lstsq(line(times), readings),
    "numpy.polyfit": [np.polyfit(times, readings, 1)],
    "scipy.stats.linregress": [[scipy.stats.linregress(times, readings).slope]],
    "numpy.linalg.lstsq, times less the first one": np.linalg.lstsq(line(rise), readings),
}
for (what, answer), wanted in zip(
    answers.items(), ("0.0, rank 1", "0.0, rank 1", "6.0", "6.0", "6.0, rank 2"), strict=True
):
    found = f"{answer[0][0] * 3600:.1f}" + (f", rank {answer[2]}" if len(answer) > 1 else "")
    print(f"{what}: {found}")
    assert found == wanted, found
PYTHON
