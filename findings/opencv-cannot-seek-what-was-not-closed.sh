#!/bin/sh
# OpenCV 5.0.0.93: a Matroska recording whose recorder was killed, or that was written to a pipe, states no length. OpenCV
# gives its number of frames as -9.2e16, and a seek goes on to the next key frame, whatever time was wanted, while set()
# returns True. PyAV 18.1.0 seeks in the same file, to the key frame before, as it should: FFmpeg is able to.
#
# Seen (100 frames at 10 Hz, a key frame each 2 s; time of the frame read after a seek to 1.0, 4.7 and 7.1 s):
#   Matroska, closed: OpenCV 1.0 4.7 7.1, PyAV 0.0 4.0 6.0, frames: 100
#   Matroska, killed: OpenCV 0.0 2.0 4.0, set() True, PyAV 0.0 4.0 6.0, frames: -92233720368547760
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 opencv-python-headless==5.0.0.93 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import shutil
import sys
from fractions import Fraction

import av
import cv2

WANTED_S = (1.0, 4.7, 7.1)
closed, killed = f"{sys.argv[1]}/closed.mkv", f"{sys.argv[1]}/killed.mkv"
with av.open(closed, "w", options={"flush_packets": "1", "cluster_time_limit": "1000"}) as container:
    stream = container.add_stream("libx264", rate=10)
    stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
    stream.options = {"g": "20", "sc_threshold": "0", "tune": "zerolatency"}
    for number in range(100):
        frame = av.VideoFrame(160, 96, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([2 * number]) * plane.buffer_size)
        frame.pts, frame.time_base = number, Fraction(1, 10)
        container.mux(stream.encode(frame))
    shutil.copy(closed, killed)  # what is on the disk when the recorder dies: all but what closing writes
    container.mux(stream.encode())


def by_opencv(path: str) -> tuple[list[float], set[bool], int]:
    video = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
    times, answers = [], set()
    for wanted_s in WANTED_S:
        answers.add(video.set(cv2.CAP_PROP_POS_MSEC, 1000 * wanted_s))
        assert video.read()[0]
        times.append(round(video.get(cv2.CAP_PROP_POS_MSEC) / 1000, 1))
    return times, answers, int(video.get(cv2.CAP_PROP_FRAME_COUNT))


def by_pyav(path: str) -> list[float]:
    times = []
    for wanted_s in WANTED_S:
        with av.open(path) as opened:
            opened.seek(int(wanted_s * av.time_base))
            times.append(round(next(opened.decode(video=0)).time, 1))
    return times


seen = []
for name, path in (("closed", closed), ("killed", killed)):
    times, answers, count = by_opencv(path)
    seen.append((times, answers, count > 0, by_pyav(path)))
    told = "" if name == "closed" else f", set() {', '.join(map(str, answers))}"
    print(
        f"Matroska, {name}: OpenCV {' '.join(map(str, times))}{told}, PyAV {' '.join(map(str, seen[-1][3]))}, frames: {count}"
    )
keys = [0.0, 4.0, 6.0]
assert seen == [([1.0, 4.7, 7.1], {True}, True, keys), ([0.0, 2.0, 4.0], {True}, False, keys)], seen
PYTHON
