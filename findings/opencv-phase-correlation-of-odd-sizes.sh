#!/bin/sh
# OpenCV 4.12.0.88 and 5.0.0.93, phaseCorrelate: the shift is half a pixel too large along each side whose length for
# the Fourier transform is odd; that is the next length that splits into 2, 3 and 5 (getOptimalDFTSize), as 135 is. Its
# centre is taken as a half of the length, while the spectrum is turned by whole pixels. A picture against itself moves,
# with a response of 1. A still camera that is watched at 240 x 135, an eighth of Full HD, sinks by half a pixel a
# frame, four of the full one. 240 x 136 is right.
#
# Seen (noise, softened, with a Hanning window; shift found, and response):
#   240 x 135, against itself: (0.0, 0.5), 1.0
#   240 x 135, moved by (3, -2): (3.0, -1.5), 1.0
#   240 x 136, moved by (3, -2): (3.0, -2.0), 1.0
#   129 x 129 (135 for the transform), against itself: (0.5, 0.5), 1.0
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 4.12.0.88 5.0.0.93; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet --disable-pip-version-check "opencv-python-headless==$version"
    "$folder/$version/bin/python" - <<'PYTHON'
import cv2
import numpy as np

scene = cv2.GaussianBlur(np.random.default_rng(0).random((400, 400)).astype(np.float32), (0, 0), 1)
for what, width, height, dx, dy, wanted in (
    ("240 x 135, against itself", 240, 135, 0, 0, (0, 0.5)),
    ("240 x 135, moved by (3, -2)", 240, 135, 3, -2, (3, -1.5)),
    ("240 x 136, moved by (3, -2)", 240, 136, 3, -2, (3, -2)),
    ("129 x 129 (135 for the transform), against itself", 129, 129, 0, 0, (0.5, 0.5)),
):
    before = scene[50 : 50 + height, 50 : 50 + width].copy()
    after = scene[50 - dy : 50 - dy + height, 50 - dx : 50 - dx + width].copy()
    window = cv2.createHanningWindow((width, height), cv2.CV_32F)
    shift, response = cv2.phaseCorrelate(before, after, window)
    found = tuple(round(value, 1) + 0.0 for value in shift)
    print(f"{cv2.__version__}, {what}: {found}, {response:.1f}")
    assert found == wanted and response > 0.9, (shift, response)
PYTHON
done
