#!/bin/sh
# numba 0.68.1 with numpy 2.4.6: two sums that are right in numpy are not in a compiled function. sum, mean and std of
# float32 add one number after the other in float32 (numpy adds pairwise): the mean of a grey 4K frame of 0.1 is 5 % too
# high, and its deviation, which is 0, as large as noise. And the difference of two uint8 is a uint64 for numba (numpy
# wraps in uint8; of whole arrays numba does too): the usual abs(a - b) > threshold in a loop over pixels is true
# wherever b is larger by one.
#
# Seen (numpy, numba):
#   mean of 3840 x 2160 times 0.1: 0.1000, 0.1055
#   deviation: 0.0000, 0.0055
#   pixel 10 less pixel 20: 246, 18446744073709551606
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numba==0.68.1 numpy==2.4.6
"$folder/venv/bin/python" -W ignore::RuntimeWarning - <<'PYTHON'
import numba
import numpy as np


def measure(frame):
    return frame.mean(), frame.std()


def difference(a, b):
    return abs(a[0] - b[0])


frame = np.full((2160, 3840), 0.1, np.float32)
plain, compiled = measure(frame), numba.njit(measure)(frame)
print(f"mean of 3840 x 2160 times 0.1: {plain[0]:.4f}, {compiled[0]:.4f}")
print(f"deviation: {plain[1]:.4f}, {compiled[1]:.4f}")
assert abs(plain[0] - 0.1) < 1e-6
assert plain[1] < 1e-6
assert compiled[0] > 0.104
assert compiled[1] > 0.004
pixels = np.array([10], np.uint8), np.array([20], np.uint8)
found = int(difference(*pixels)), int(numba.njit(difference)(*pixels))
print(f"pixel 10 less pixel 20: {found[0]}, {found[1]}")
assert found == (246, 2**64 - 10), found
PYTHON
