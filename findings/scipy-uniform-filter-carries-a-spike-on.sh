#!/bin/sh
# scipy 1.17.1, ndimage.uniform_filter1d and uniform_filter, the running mean over readings or pixels: what enters the
# window is added and what leaves it is subtracted, in a sum that goes on to the end of the row. So one NaN makes all that
# follows NaN, and after one infinite or huge value (a sensor's overflow, 1e17) all that follows is NaN, or 0 where it
# should be 1. gaussian_filter1d and np.convolve are wrong as far as the window reaches, and right behind it.
#
# Seen (ten times 1, but for the third; window of 3; np.convolve without the ends):
#   uniform_filter1d, NaN: 1 nan nan nan nan nan nan nan nan nan
#   convolve, NaN: nan nan nan 1 1 1 1 1
#   uniform_filter1d, inf: 1 inf inf inf nan nan nan nan nan nan
#   convolve, inf: inf inf inf 1 1 1 1 1
#   uniform_filter1d, 1e17: 1 3e+16 3e+16 3e+16 0 0 0 0 0 0
#   convolve, 1e17: 3e+16 3e+16 3e+16 1 1 1 1 1
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check scipy==1.17.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
from scipy import ndimage


def row(spike):
    values = np.ones(10)
    values[2] = spike
    return values


def told(values):
    return " ".join(f"{value:.0g}" for value in values)


for name, spike, expected in (
    ("NaN", np.nan, "1 nan nan nan nan nan nan nan nan nan"),
    ("inf", np.inf, "1 inf inf inf nan nan nan nan nan nan"),
    ("1e17", 1e17, "1 3e+16 3e+16 3e+16 0 0 0 0 0 0"),
):
    seen = told(ndimage.uniform_filter1d(row(spike), 3))
    print(f"uniform_filter1d, {name}: {seen}")
    assert seen == expected, expected
    assert told(ndimage.uniform_filter(row(spike), 3)) == expected
    plain = told(np.convolve(row(spike), np.ones(3) / 3, "valid"))
    print(f"convolve, {name}: {plain}")
    assert plain.endswith(" 1 1 1 1 1"), plain
PYTHON
