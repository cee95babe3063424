#!/bin/sh
# A PAM of type RGB_ALPHA: of each row, IMREAD_COLOR of opencv-python-headless 4.12.0.88 and 5.0.0.93 gives a quarter and
# leaves the rest as the memory was: parts of images decoded before, or zeros. No error. IMREAD_UNCHANGED gives all.
#
# Seen (version, pixels of a row that are right; by IMREAD_COLOR and IMREAD_UNCHANGED):
#   4.12.0: 16 and 64 of 64
#   5.0.0: 16 and 64 of 64
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 4.12.0.88 5.0.0.93; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet --disable-pip-version-check "opencv-python-headless==$version"
    "$folder/$version/bin/python" - <<'PYTHON'
import cv2
import numpy as np

width, height = 64, 48
head = f"P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n".encode()
pam = np.frombuffer(head + bytes([203, 107, 53, 255]) * width * height, np.uint8)
right = []
for how in (cv2.IMREAD_COLOR, cv2.IMREAD_UNCHANGED):
    image = cv2.imdecode(pam, how)
    wanted = [53, 107, 203] if how == cv2.IMREAD_COLOR else [203, 107, 53]
    right.append(int((image[:, :, :3] == wanted).all(axis=(0, 2)).sum()))
print(f"{cv2.__version__}: {right[0]} and {right[1]} of {width}")
assert right == [width // 4, width], right
PYTHON
done
