#!/bin/sh
# H.264 in AVI, as recorders of analogue cameras write it: AVI has no presentation times, and PyAV 18.1.0 (FFmpeg 8.1) gives
# each frame the place of its packet, plus one. Without B-frames all are one frame late (Motion JPEG and MPEG-4 begin
# at 0). With two of them the pictures come in the right order, and their times do not: they jump back at each third.
# OpenCV 5.0.0.93 begins at 0.2 s then, and the last two frames have 0. Who sorts by time mixes the frames up.
#
# Seen (12 frames at 10 Hz; times by PyAV; by OpenCV; the pictures are in their order in each case):
#   mjpeg, PyAV: 0.0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 1.0 1.1
#   mjpeg, OpenCV: 0.0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 1.0 1.1
#   libx264, no B-frames, PyAV: 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 1.0 1.1 1.2
#   libx264, no B-frames, OpenCV: 0.0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 1.0 1.1
#   libx264, 2 B-frames, PyAV: 0.1 0.3 0.4 0.2 0.6 0.7 0.5 0.9 1.0 0.8 1.2 1.1
#   libx264, 2 B-frames, OpenCV: 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 1.0 1.1 0.0 0.0
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

path = f"{sys.argv[1]}/clip.avi"


def write(codec: str, pixels: str, options: dict[str, str]) -> None:
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.options = 160, 96, pixels, options
        for number in range(12):
            frame = av.VideoFrame(160, 96, pixels)
            for plane in frame.planes:
                plane.update(bytes([10 * number]) * plane.buffer_size)
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


EVEN = [number / 10 for number in range(12)]
LATE = [(number + 1) / 10 for number in range(12)]
MIXED = [0.1, 0.3, 0.4, 0.2, 0.6, 0.7, 0.5, 0.9, 1.0, 0.8, 1.2, 1.1]
for name, codec, pixels, options, expected in (
    ("mjpeg", "mjpeg", "yuvj420p", {}, (EVEN, EVEN)),
    ("libx264, no B-frames", "libx264", "yuv420p", {"bf": "0"}, (LATE, EVEN)),
    ("libx264, 2 B-frames", "libx264", "yuv420p", {"bf": "2", "b_strategy": "0"}, (MIXED, [*LATE[1:11], 0.0, 0.0])),
):
    write(codec, pixels, options)
    with av.open(path) as container:
        frames = list(container.decode(video=0))
    luma = [int(frame.to_ndarray(format="yuv420p")[0, 0]) for frame in frames]
    assert luma == sorted(luma), luma
    video, times = cv2.VideoCapture(path, cv2.CAP_FFMPEG), []
    while video.read()[0]:
        times.append(round(video.get(cv2.CAP_PROP_POS_MSEC) / 1000, 1))
    seen = [round(frame.time, 1) for frame in frames], times
    for library, found in zip(("PyAV", "OpenCV"), seen):
        print(f"{name}, {library}: {' '.join(map(str, found))}")
    assert seen == expected, seen
PYTHON
