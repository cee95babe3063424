#!/bin/sh
# PyAV 18.1.0 (FFmpeg 8.1) and OpenCV 5.0.0.93 decode a 4:2:0 video to the same BGR, byte for byte, while it has 8 bits.
# Of 10 bits they do not: `reformat` interpolates chroma bilinearly by default, VideoCapture bicubically. With
# Interpolation.BICUBIC they agree again. 8 bits take a path of swscale's that does not interpolate.
#
# Seen (largest difference of any byte):
#   yuv420p: default 0, bicubic 0
#   yuv420p10le: default 48, bicubic 0
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6 opencv-python-headless==5.0.0.93
"$folder/venv/bin/python" - "$folder/clip.mp4" <<'PYTHON'
import sys

import av
import cv2
import numpy as np
from av.video.reformatter import Interpolation

coarse = np.random.default_rng(0).integers(0, 255, (24, 40, 3), np.uint8)
image = cv2.resize(coarse, (160, 96))
found = {}
for kind in ("yuv420p", "yuv420p10le"):
    with av.open(sys.argv[1], "w") as out:
        track = out.add_stream("libx264", rate=15)
        track.width, track.height, track.pix_fmt = 160, 96, kind
        for packet in [*track.encode(av.VideoFrame.from_ndarray(image, format="bgr24")), *track.encode(None)]:
            out.mux(packet)
    expected = cv2.VideoCapture(sys.argv[1]).read()[1].astype(int)
    with av.open(sys.argv[1]) as container:
        frame = next(container.decode(video=0))
    given = [frame.reformat(format="bgr24", **options) for options in ({}, {"interpolation": Interpolation.BICUBIC})]
    found[kind] = [int(np.abs(one.to_ndarray() - expected).max()) for one in given]
    print(f"{kind}: default {found[kind][0]}, bicubic {found[kind][1]}")
assert found["yuv420p"] == [0, 0], found
assert found["yuv420p10le"][0] > 20, found
assert found["yuv420p10le"][1] == 0, found
PYTHON
