#!/bin/sh
# OpenCV 5.0.0.93, perspectiveTransform (2-D and 3-D points, both kinds of floats): a point with a NaN, which is how "not
# seen" is written, comes out as exactly (0, 0), also under the identity: where the last coordinate is "not larger than
# epsilon", and NaN is not, the result is 0. So an unseen joint or box, brought to the plane of the floor, stands at its
# origin, among the seen ones, and no later check for NaN finds it. transform (affine), projectPoints, undistortPoints and
# convertPointsFromHomogeneous keep NaN.
#
# Seen ((NaN, 2) and (3, 4), or NaN, 2, 1 and 3, 4, 1):
#   perspectiveTransform by the identity: [0.0, 0.0] and [3.0, 4.0]
#   transform by the identity: [nan, 2.0] and [3.0, 4.0]
#   undistortPoints of a perfect lens: [nan, nan] and [3.0, 4.0]
#   convertPointsFromHomogeneous: [nan, 2.0] and [3.0, 4.0]
#   projectPoints: [nan, nan] and [3.0, 4.0]
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check opencv-python-headless==5.0.0.93 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import cv2
import numpy as np

POINTS = np.array([[[np.nan, 2.0]], [[3.0, 4.0]]])
FLAT = np.dstack([POINTS, np.ones((2, 1))])
ONE, NONE = np.eye(3), np.zeros(3)
for kind in (np.float32, np.float64):
    points, flat = POINTS.astype(kind), FLAT.astype(kind)
    for what, found in (
        ("perspectiveTransform by the identity", cv2.perspectiveTransform(points, ONE)),
        ("transform by the identity", cv2.transform(points, ONE[:2])),
        ("undistortPoints of a perfect lens", cv2.undistortPoints(points, ONE, np.zeros(5))),
        ("convertPointsFromHomogeneous", cv2.convertPointsFromHomogeneous(flat)),
        ("projectPoints", cv2.projectPoints(flat, NONE, NONE, ONE, None)[0]),
    ):
        unseen, seen = found.reshape(2, 2).tolist()
        if kind is np.float64:
            print(f"{what}: {unseen} and {seen}")
        assert np.allclose(seen, [3, 4])
        assert unseen == [0, 0] if "perspective" in what else np.isnan(unseen[0]), unseen
assert cv2.perspectiveTransform(FLAT * [1, 1, np.nan], np.eye(4)).tolist() == [[[0, 0, 0]]] * 2
PYTHON
