#!/bin/sh
# scipy 1.17.1: signal.decimate with its default filter makes everything that is constant or slow 1.14 % smaller. The
# filter is Chebyshev's with a ripple of 0.05 dB, of the 8th order; of an even order the gain of the mean is the bottom
# of the ripple, and the filter runs twice. A temperature of 38.0 comes out as 37.6, a rate of 60 as 59.3, coordinates
# move towards the origin of the image. An odd order (n=7), or ftype="fir", has the mean exact.
#
# Seen (400 times 38.0, one in 4; a value in the middle):
#   decimate(x, 4): 37.57
#   decimate(x, 4, n=7): 38.00
#   decimate(x, 4, ftype="fir"): 38.00
#   a keypoint at (1900, 40) that stands still: (1878.3, 39.5)
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check scipy==1.17.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
from scipy.signal import decimate

x = np.full(400, 38.0)
for what, options, wanted in (
    ("decimate(x, 4)", {}, "37.57"),
    ("decimate(x, 4, n=7)", {"n": 7}, "38.00"),
    ('decimate(x, 4, ftype="fir")', {"ftype": "fir"}, "38.00"),
):
    found = f"{decimate(x, 4, **options)[50]:.2f}"
    print(f"{what}: {found}")
    assert found == wanted, found
keypoint = decimate(np.full((400, 2), (1900.0, 40.0)), 4, axis=0)[50]
found = f"({keypoint[0]:.1f}, {keypoint[1]:.1f})"
print(f"a keypoint at (1900, 40) that stands still: {found}")
assert found == "(1878.3, 39.5)", found
PYTHON
