#!/bin/sh
# scikit-image 0.26.0: with one NaN ("not measured", "outside the lens") anywhere in the picture, peak_local_max finds no
# peak at all, and corner_peaks and blob_doh with it; nothing is raised or warned of. The threshold is the picture's
# minimum unless one is given, which is NaN then, and nothing is larger than NaN. With threshold_abs=0 it finds the
# others. match_template says 0 everywhere, no NaN: the mark is "not in the picture", and the best place is the corner. So
# a map of temperatures, a heat map or a depth picture with one hole looks as if there were nothing in it.
#
# Seen (a picture of noise, and the same with its first pixel NaN; peaks; best score of a patch of it):
#   peak_local_max: 139, 0
#   peak_local_max, threshold_abs=0: 137, 137
#   corner_peaks: 139, 0
#   blob_doh: 27, 0
#   match_template: 1.0 at (40, 50), 0.0 at (0, 0)
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check scikit-image==0.26.0 numpy==2.4.6 scipy==1.17.1
"$folder/venv/bin/python" -W error - <<'PYTHON'
import numpy as np
from scipy import ndimage
from skimage import feature

whole = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(120, 160)), 2)
whole /= whole.std()
hole = whole.copy()
hole[0, 0] = np.nan
pictures = (whole, hole)


def show(name, found, least):
    print(f"{name}: {found[0]}, {found[1]}")
    assert found[0] > 20, found
    assert found[1] > 20 if least else found[1] == 0, found


show("peak_local_max", [len(feature.peak_local_max(picture, min_distance=3)) for picture in pictures], False)
counts = [len(feature.peak_local_max(picture, min_distance=3, threshold_abs=0)) for picture in pictures]
show("peak_local_max, threshold_abs=0", counts, True)
show("corner_peaks", [len(feature.corner_peaks(picture, min_distance=3)) for picture in pictures], False)
show("blob_doh", [len(feature.blob_doh(picture, threshold=0.01)) for picture in pictures], False)
best = []
for picture in pictures:
    scores = feature.match_template(picture, whole[40:60, 50:70])
    assert not np.isnan(scores).any()
    place = tuple(int(index) for index in np.unravel_index(scores.argmax(), scores.shape))
    best.append((round(float(scores.max()), 2), place))
print("match_template: " + ", ".join(f"{score:.1f} at {place}" for score, place in best))
assert best == [(1.0, (40, 50)), (0.0, (0, 0))]
PYTHON
