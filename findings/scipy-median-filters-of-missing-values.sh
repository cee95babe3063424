#!/bin/sh
# scipy 1.17.1: signal.medfilt and ndimage.median_filter do not pass NaN on, and do not leave it out: what they give
# beside one depends on the numbers around and on the direction. A falling series with one gap comes out finite and
# shifted by a frame, and the same series backwards has NaN three times. NaN is sorted by comparisons that are all
# false. So keypoints that were not seen are filtered into other places than they had, and no NaN tells of it.
#
# Seen (windows of three; forwards, and backwards turned round again):
#   medfilt of 1 2 nan 4 5: 1 1 2 4 4, 1 1 2 4 4
#   medfilt of 5 1 nan 2 1: 1 1 1 1 1, 1 1 1 1 1
#   median_filter of 1 2 nan 4 5: 1 nan nan nan 5, 1 2 4 5 5
#   median_filter of 5 4 nan 2 1: 5 5 4 2 1, 5 nan nan nan 1
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check scipy==1.17.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
from scipy.ndimage import median_filter
from scipy.signal import medfilt

nan = np.nan
for what, function, x, wanted in (
    ("medfilt of 1 2 nan 4 5", medfilt, [1, 2, nan, 4, 5], ["1 1 2 4 4", "1 1 2 4 4"]),
    ("medfilt of 5 1 nan 2 1", medfilt, [5, 1, nan, 2, 1], ["1 1 1 1 1", "1 1 1 1 1"]),
    ("median_filter of 1 2 nan 4 5", median_filter, [1, 2, nan, 4, 5], ["1 nan nan nan 5", "1 2 4 5 5"]),
    ("median_filter of 5 4 nan 2 1", median_filter, [5, 4, nan, 2, 1], ["5 5 4 2 1", "5 nan nan nan 1"]),
):
    x = np.array(x, np.float64)
    answers = function(x, 3), function(x[::-1].copy(), 3)[::-1]
    found = [" ".join(f"{value:.0f}" for value in answer) for answer in answers]
    print(f"{what}: {', '.join(found)}")
    assert found == wanted, found
PYTHON
