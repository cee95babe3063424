#!/bin/sh
# OpenCV 5.0.0.93 and 4.12.0.88, invert and solve (DECOMP_LU, the default): from 4 x 4 on a matrix is called singular as
# soon as a pivot is below a fixed number, 1.2e-6 in float32 and 2.2e-14 in float64, whatever the others are. Up to 3 x 3
# the determinant is used, and there is no such bound. The covariance of place and speed in metres, known to 1 mm (1e-6),
# is four such numbers, equal and as well conditioned as can be, and cv2.KalmanFilter keeps it in float32. Its "inverse"
# is all zeros; invert returns 0.0, which cv2.Mahalanobis knows nothing of: everything is 0 away, and passes each gate. In
# mm all is well. DECOMP_CHOLESKY, DECOMP_SVD and numpy.linalg.inv invert it.
#
# Seen (both versions; what invert returns, Mahalanobis distance of a place 1 m away; 1000 is right):
#   3 x 3, float32: 1.0, 1000
#   4 x 4, float32: 0.0, 0
#   4 x 4, float64: 1.0, 1000
#   4 x 4, float32, DECOMP_CHOLESKY: 1.0, 1000
#   4 x 4, float32, in mm: 1.0, 1000
#   numpy, 4 x 4, float32: 1000
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/small.py" <<'PYTHON'
import cv2
import numpy as np


def distance(inverse, step):
    far = np.zeros((1, len(inverse)), inverse.dtype)
    far[0, 0] = step
    return cv2.Mahalanobis(far, np.zeros_like(far), inverse)


def show(name, variances, step=1.0, flags=cv2.DECOMP_LU, expected=1000):
    answer, inverse = cv2.invert(np.diag(variances), flags=flags)
    seen = round(distance(inverse, step))
    print(f"{name}: {answer:.1f}, {seen}")
    assert seen == expected, expected
    assert (answer == 0) == (expected == 0), answer


print(cv2.__version__)
small = np.full(4, 1e-6, np.float32)
show("3 x 3, float32", small[:3])
show("4 x 4, float32", small, expected=0)
show("4 x 4, float64", small.astype(np.float64))
show("4 x 4, float32, DECOMP_CHOLESKY", small, flags=cv2.DECOMP_CHOLESKY)
show("4 x 4, float32, in mm", small * np.float32(1e6), 1000.0)
seen = round(distance(np.linalg.inv(np.diag(small)), 1.0))
print(f"numpy, 4 x 4, float32: {seen}")
assert seen == 1000
PYTHON
for version in 5.0.0.93 4.12.0.88; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet --disable-pip-version-check opencv-python-headless==$version
    "$folder/$version/bin/python" "$folder/small.py"
done
