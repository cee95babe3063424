#!/bin/sh
# OpenCV 5.0.0.93, VideoWriter: the rate is written as a fraction whose error is up to 0.001 Hz, however small the rate is: none
# at 10 Hz to speak of, and everything at the rates of time-lapse recordings. One picture a minute is written as one each
# 58.8 s, so a day lasts 28 minutes less; one each ten minutes as one each 500 s. One each hour is 0 Hz, and does not open.
# The times of the frames (POS_MSEC) tell the rate written, so nothing in the file shows it.
#
# Seen (MP4 and AVI alike; seconds from picture to picture, as told to VideoWriter, and as PyAV 18.1.0 reads them):
#   2: 2.0
#   3: 3.003
#   30: 30.303
#   60: 58.824
#   600: 500.0
#   3600: not opened
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 opencv-python-headless==5.0.0.93 numpy==2.4.6
OPENCV_LOG_LEVEL=OFF OPENCV_FFMPEG_LOGLEVEL=-8 "$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys

import av
import cv2
import numpy as np

EXPECTED = {2: 2.0, 3: 3.003, 30: 30.303, 60: 58.824, 600: 500.0, 3600: "not opened"}


def written(step_s: float, name: str, code: str) -> float | str:
    """Seconds from one picture to the next, in the file."""
    path = f"{sys.argv[1]}/{name}"
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*code), 1 / step_s, (64, 48))
    if not writer.isOpened():
        return "not opened"
    for number in range(24):
        writer.write(np.full((48, 64, 3), number * 10, np.uint8))
    writer.release()
    with av.open(path) as container:
        times = [frame.time for frame in container.decode(video=0)]
    capture = cv2.VideoCapture(path)
    by_opencv = []
    while capture.read()[0]:
        by_opencv.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
    assert np.allclose(times, by_opencv, atol=0.001), by_opencv
    return round(times[-1] / 23, 3)


for step_s, expected in EXPECTED.items():
    seen = {written(step_s, *kind) for kind in (("clip.mp4", "mp4v"), ("clip.avi", "MJPG"))}
    print(f"{step_s}:", *seen)
    assert seen == {expected}, expected
PYTHON
