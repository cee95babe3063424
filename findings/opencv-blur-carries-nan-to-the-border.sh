#!/bin/sh
# OpenCV 5.0.0.93, float images in which NaN is "not measured" (depth, temperature): cv2.blur and boxFilter add at one side
# of the window and subtract at the other, and NaN cannot be subtracted. One NaN makes all below it NaN, down to the
# border, over the width of the window; from a window of 6 on, and in sqrBoxFilter at any, all to its right too. Infinity
# does the same. filter2D keeps it in the window while that is small; a large one (more than 11 x 11 here) goes through a
# Fourier transform, and the whole image is NaN. GaussianBlur keeps it in any. So what works with a window of 5 is blind
# with one of 13. scipy 1.17.1's uniform_filter does as sqrBoxFilter.
#
# Seen (100 x 100, one NaN at row 10, column 10; pixels that are not finite, for windows of 3, 5, 7 and 13):
#   blur: 273 460 8649 9216
#   blur, infinity for NaN: 273 460 8649 9216
#   sqrBoxFilter: 8281 8464 8649 9216
#   uniform_filter: 8281 8464 8649 9216
#   filter2D: 9 25 49 10000
#   GaussianBlur: 9 25 49 169
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check opencv-python-headless==5.0.0.93 numpy==2.4.6 scipy==1.17.1
"$folder/venv/bin/python" - <<'PYTHON'
import cv2
import numpy as np
from scipy import ndimage

seen = {}


def tell(name: str, blur, hole: float = np.nan) -> None:
    image = np.zeros((100, 100), np.float32)
    image[10, 10] = hole
    seen[name] = [int((~np.isfinite(blur(image, size))).sum()) for size in (3, 5, 7, 13)]
    print(f"{name}:", *seen[name])


tell("blur", lambda image, size: cv2.blur(image, (size, size)))
tell("blur, infinity for NaN", lambda image, size: cv2.blur(image, (size, size)), hole=np.inf)
tell("sqrBoxFilter", lambda image, size: cv2.sqrBoxFilter(image, -1, (size, size)))
tell("uniform_filter", lambda image, size: ndimage.uniform_filter(image, size))
tell("filter2D", lambda image, size: cv2.filter2D(image, -1, np.full((size, size), 1 / size**2)))
tell("GaussianBlur", lambda image, size: cv2.GaussianBlur(image, (size, size), 0))
below, corner = [273, 460, 8649, 9216], [8281, 8464, 8649, 9216]
assert list(seen.values()) == [below, below, corner, corner, [9, 25, 49, 10000], [9, 25, 49, 169]], seen
PYTHON
