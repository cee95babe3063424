#!/bin/sh
# OpenCV 5.0.0.93, matchTemplate with TM_CCOEFF_NORMED: the pictures of thermal and depth cameras have 16 bits and go in as
# float32, since it takes no uint16. The mean should not matter, as it is subtracted; but the products are summed by a
# Fourier transform in FLOAT32, and the mean only then. At room temperature in hundredths of a kelvin (29300) and a tenth of
# a kelvin of detail, a patch that was cut from the picture has no likeness with its own place, and 1.0 where nothing of it
# is. With the mean taken away before, it is found. With 8 bits this never shows.
#
# Seen (patch of 40 x 40 cut at (200, 100) from 384 x 288; score at that place, where the best one is):
#   detail of 10 around 29300: below 0.5, elsewhere with above 0.9
#   detail of 10 around 0: 1.00, at its place
#   detail of 300 around 29300: 1.00, at its place
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check opencv-python-headless==5.0.0.93 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import cv2
import numpy as np

noise = cv2.GaussianBlur(np.random.default_rng(0).normal(size=(288, 384)).astype(np.float32), (0, 0), 2)
for detail, mean in ((10, 29300), (10, 0), (300, 29300)):
    picture = (np.round(noise / noise.std() * detail) + mean).astype(np.float32)
    patch = picture[100:140, 200:240].copy()
    scores = cv2.matchTemplate(picture, patch, cv2.TM_CCOEFF_NORMED)
    here, best, place = float(scores[100, 200]), float(scores.max()), cv2.minMaxLoc(scores)[3]
    if (detail, mean) == (10, 29300):
        print(f"detail of 10 around 29300: {'below 0.5, elsewhere with above 0.9' if here < 0.5 else here}")
        assert here < 0.5 and best > 0.9 and max(abs(place[0] - 200), abs(place[1] - 100)) > 10, (here, best, place)
    else:
        print(f"detail of {detail} around {mean}: {here:.2f}, at its place")
        assert here > 0.99 and place == (200, 100), (here, place)
PYTHON
