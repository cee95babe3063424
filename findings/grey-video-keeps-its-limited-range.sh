#!/bin/sh
# PyAV 18.1.0 (FFmpeg 8.1) and OpenCV 5.0.0.93: a grey video (4:0:0, as thermal cameras send it) in H.265 or FFV1 is taken
# for full range whatever it says of itself: black comes out as 16 and white as 235, also where the stream is marked as
# limited range. The same luma in 4:2:0 is spread to 0 and 255. H.264 is right, since its decoder makes 4:2:0 of grey.
# It works the other way too: `format="yuv420p"` of a grey frame squeezes its luma once more, 235 becomes 218.
#
# Seen (luma 16 and 235; BGR by PyAV, BGR by OpenCV, luma as yuv420p):
#   libx265 yuv420p, marked as 1: 0 and 255, 0 and 255, 16 and 235
#   libx265 gray, marked as 1: 16 and 235, 16 and 235, 30 and 218
#   ffv1 gray, marked as 0: 16 and 235, 16 and 235, 30 and 218
#   libx264 gray, marked as 0: 0 and 255, 0 and 255, 16 and 235
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 opencv-python-headless==5.0.0.93 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys
from fractions import Fraction

import av
import cv2

OPTIONS = {"libx265": {"x265-params": "lossless=1:log-level=none"}, "libx264": {"qp": "0"}, "ffv1": {}}
SQUEEZED, SPREAD = ((16, 235), (16, 235), (30, 218)), ((0, 255), (0, 255), (16, 235))
path = f"{sys.argv[1]}/clip.mkv"


def write(codec: str, pixels: str) -> None:
    """Three frames, black on the left and white on the right."""
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.options = 160, 96, pixels, OPTIONS[codec]
        for number in range(3):
            frame = av.VideoFrame(160, 96, pixels)
            for index, plane in enumerate(frame.planes):
                line = bytes(16 if place < 80 else 235 for place in range(plane.line_size))
                plane.update(line * plane.height if index == 0 else bytes([128]) * plane.buffer_size)
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def ends(image) -> tuple[int, int]:
    return int(image[48, 8].max()), int(image[48, 152].max())


for codec, pixels, expected in (
    ("libx265", "yuv420p", SPREAD),
    ("libx265", "gray", SQUEEZED),
    ("ffv1", "gray", SQUEEZED),
    ("libx264", "gray", SPREAD),
):
    write(codec, pixels)
    with av.open(path) as container:
        frame = next(container.decode(video=0))
        marked = int(frame.color_range)
        by_pyav, luma = ends(frame.to_ndarray(format="bgr24")), frame.to_ndarray(format="yuv420p")
    good, image = cv2.VideoCapture(path).read()
    assert good
    seen = by_pyav, ends(image), (int(luma[48, 8]), int(luma[48, 152]))
    print(f"{codec} {pixels}, marked as {marked}: {', '.join(f'{black} and {white}' for black, white in seen)}")
    assert seen == expected, seen
PYTHON
