#!/bin/sh
# cv2.undistortPoints makes five steps of a fixed-point iteration and tells nothing about the rest. For the lens of a
# usual wide-angle camera (k1 = -0.35, k2 = 0.12, 94 degrees across; the polynomial grows everywhere, so each pixel has
# one direction) the corners come out more than a hundred pixels off, and the mean over the picture is five. In
# opencv-python-headless 4.12.0.88 undistortPointsIter with 100 steps does not converge either. 5.0.0.93 has no
# undistortPointsIter; undistortPoints takes `criteria` in its place (the sixth argument), and then converges; its default
# is as wrong as before.
#
# Seen (projected again, pixels from where they were: largest, mean; default and 100 steps):
#   4.12.0: default 137.0, 5.4; 100 steps 75.9, 2.0
#   5.0.0: default 137.0, 5.4; 100 steps 0.0, 0.0
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 4.12.0.88 5.0.0.93; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet --disable-pip-version-check "opencv-python-headless==$version"
    "$folder/$version/bin/python" - <<'PYTHON'
import cv2
import numpy as np

CAMERA = np.array([[600, 0, 640], [0, 600, 360], [0, 0, 1.0]])
LENS = np.array([-0.35, 0.12, 0, 0, 0])
PIXELS = np.stack(np.meshgrid(np.linspace(0, 1280, 17), np.linspace(0, 720, 9)), -1).reshape(-1, 1, 2)
radius = np.linspace(0, 3, 10_000)
assert (np.diff(radius * (1 + LENS[0] * radius**2 + LENS[1] * radius**4)) > 0).all()
STEPS = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-8)


def off(directions):
    rays = np.c_[directions.reshape(-1, 2), np.ones(len(PIXELS))]
    again = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), CAMERA, LENS)[0]
    distance = np.linalg.norm(again.reshape(-1, 2) - PIXELS.reshape(-1, 2), axis=1)
    return float(distance.max()), float(distance.mean())


default = off(cv2.undistortPoints(PIXELS, CAMERA, LENS))
old = cv2.__version__ == "4.12.0"
if old:
    more = off(cv2.undistortPointsIter(PIXELS, CAMERA, LENS, None, None, STEPS))
else:
    assert not hasattr(cv2, "undistortPointsIter")
    more = off(cv2.undistortPoints(PIXELS, CAMERA, LENS, criteria=STEPS))
print(f"{cv2.__version__}: default {default[0]:.1f}, {default[1]:.1f}; 100 steps {more[0]:.1f}, {more[1]:.1f}")
assert default[0] > 100
assert default[1] > 3
assert more[0] > 50 if old else more[0] < 0.001
PYTHON
done
