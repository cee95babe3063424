#!/bin/sh
# scikit-image 0.26.0, structural_similarity and match_template: pictures of float32 are computed in float32, as
# differences of means of squares and squares of means. Where values are far from 0 beside their contrast (hundredths of
# a kelvin in the flat parts of a thermal picture, depth in mm) that cancels. The similarity, which lies between -1 and
# 1, is -3, and a patch of a picture is found at another place, with a "correlation" far above 1. The SAME numbers as
# uint16, as the camera gives them, or as float64 are right, since integers are made float64. So astype(np.float32),
# which one does for a network, breaks it, and nothing is NaN or raised.
#
# Seen (29300 +- 3; a second picture with noise of a third of it; similarity of both; patch of the first one at (40, 50)):
#   uint16: similarity 0.87, patch found at (40, 50) with 1.00
#   float64: similarity 0.87, patch found at (40, 50) with 1.00
#   float32: similarity below -1, patch found at another place with more than 1.5
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check scikit-image==0.26.0 numpy==2.4.6 scipy==1.17.1
"$folder/venv/bin/python" -W error - <<'PYTHON'
import numpy as np
from scipy import ndimage
from skimage.feature import match_template
from skimage.metrics import structural_similarity

generator = np.random.default_rng(0)
scene = ndimage.gaussian_filter(generator.normal(size=(120, 160)), 2)
first = np.rint(29300 + 3 * scene / scene.std())
second = np.rint(first + 1 * generator.normal(size=first.shape))
for kind in (np.uint16, np.float64, np.float32):
    one, two = first.astype(kind), second.astype(kind)
    assert (one == first).all() and (two == second).all()
    similarity = structural_similarity(one, two, data_range=25)
    scores = match_template(one, one[40:60, 50:70])
    place = tuple(int(index) for index in np.unravel_index(scores.argmax(), scores.shape))
    print(f"{kind.__name__}: similarity {similarity:.2f}, patch found at {place} with {scores.max():.2f}")
    if kind is np.float32:
        assert similarity < -1 and place != (40, 50) and scores.max() > 1.5
    else:
        assert round(similarity, 2) == 0.87 and place == (40, 50) and round(scores.max(), 2) == 1
PYTHON
