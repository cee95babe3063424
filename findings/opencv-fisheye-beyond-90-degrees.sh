#!/bin/sh
# OpenCV's fisheye model (4.12.0.88 and 5.0.0.93) is of the angle between ray and axis, and lenses that need it often
# see more than 180 degrees. fisheye.projectPoints takes the tangent first: at 90 degrees it puts a point where one at
# 45 belongs, and beyond that to the other side of the image, mirrored, where a point on that side may well be. No value
# says so. The way back, undistortPoints, gives at most 90 degrees for each pixel there.
#
# Seen (f 300, centre 320, no distortion; both versions; the model: 320 + 300 * angle):
#   80 degrees: 738.9, model 738.9, back 80.0
#   90 degrees: 555.6, model 791.2, back 90.0
#   100 degrees: -98.9, model 843.6, back 90.0
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 4.12.0.88 5.0.0.93; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet --disable-pip-version-check "opencv-python-headless==$version"
    "$folder/$version/bin/python" - <<'PYTHON'
import cv2
import numpy as np

camera, no = np.array([[300.0, 0, 320], [0, 300, 240], [0, 0, 1]]), np.zeros(4)
for degrees, wanted in ((80, ["738.9", "738.9", "80.0"]), (90, ["555.6", "791.2", "90.0"]), (100, ["-98.9", "843.6", "90.0"])):
    angle = np.radians(degrees)
    point = np.array([[[np.sin(angle), 0, 0 if degrees == 90 else np.cos(angle)]]])
    pixel = cv2.fisheye.projectPoints(point, np.zeros(3), np.zeros(3), camera, no)[0].ravel()[0]
    model = 320 + 300 * angle
    back = cv2.fisheye.undistortPoints(np.array([[[model, 240]]]), camera, no).ravel()[0]
    found = [f"{value:.1f}" for value in (pixel, model, np.degrees(np.arctan(back)))]
    print(f"{cv2.__version__}, {degrees} degrees: {found[0]}, model {found[1]}, back {found[2]}")
    assert found == wanted, found
PYTHON
done
