#!/bin/sh
# minAreaRect's angle: opencv-python-headless 4.12.0.88 gives 0 < angle <= 90, 5.0.0.93 gives -90 <= angle < 0 (as OpenCV
# before 4.5.1 did). Width and height change places with it, and boxPoints starts at another corner, so that code which
# takes "width along the angle" is a right angle off for the same points. The rectangle itself is the same.
#
# Seen (40 x 20, turned; width x height, angle, first corner):
#   4.12.0, by 0: 20 x 40, 90; (100, 100)
#   4.12.0, by 30: 40 x 20, 30; (90, 117)
#   4.12.0, by 100: 20 x 40, 10; (73, 136)
#   5.0.0, by 0: 20 x 40, -90; (140, 120)
#   5.0.0, by 30: 20 x 40, -60; (125, 137)
#   5.0.0, by 100: 40 x 20, -80; (93, 139)
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 4.12.0.88 5.0.0.93; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet --disable-pip-version-check "opencv-python-headless==$version"
    "$folder/$version/bin/python" - <<'PYTHON'
import cv2
import numpy as np

found = []
for turn in (0, 30, 100):
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    corners = np.array([[0, 0], [40, 0], [40, 20], [0, 20]]) @ np.array([[c, s], [-s, c]]) + 100
    box = cv2.minAreaRect(corners.astype(np.float32))
    (width, height), angle = box[1:]
    first = cv2.boxPoints(box)[0]
    found.append((round(width), round(height), round(angle)))
    print(f"{cv2.__version__}, by {turn}: {width:.0f} x {height:.0f}, {angle:.0f}; ({first[0]:.0f}, {first[1]:.0f})")
old = [(20, 40, 90), (40, 20, 30), (20, 40, 10)]
new = [(20, 40, -90), (20, 40, -60), (40, 20, -80)]
assert found == (old if cv2.__version__ == "4.12.0" else new), found
PYTHON
done
