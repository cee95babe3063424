#!/bin/sh
# PyAV 18.1.0 (FFmpeg 8.1): a camera fails for 5 s in the middle of a recording; the times of its frames say so. With two
# B-frames (x264's default has three) the MP4 states a length of 2.2 s and 10 frames a second, while its last frame is at
# 7.1 s: the length is a sum over decoding times, which lag behind by two frames, so that the gap falls out of it.
# Without B-frames all is right, and in Matroska too. OpenCV 5.0.0.93 believes the file: length = frames / rate.
#
# Seen (20 frames at 10 Hz, nothing for 5 s, 2 frames; length as stated, rate, and time of the last frame):
#   MP4, no B-frames: 7.2 s, 3.06 Hz, last frame at 7.1 s
#   MP4, 2 B-frames: 2.2 s, 10 Hz, last frame at 7.1 s
#   Matroska, 2 B-frames: 7.2 s, 10 Hz, last frame at 7.1 s
#   OpenCV of the second: 22 frames at 10 Hz
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6 opencv-python-headless==5.0.0.93
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys
from fractions import Fraction

import av
import cv2
import numpy as np

TIMES_MS = [*range(0, 2000, 100), 7000, 7100]


def write(path: str, b_frames: int) -> None:
    with av.open(path, "w") as out:
        track = out.add_stream("libx264", rate=10, options={"bf": str(b_frames), "b_strategy": "0"})
        track.width, track.height, track.pix_fmt = 160, 96, "yuv420p"
        track.codec_context.time_base = Fraction(1, 1000)
        for number, time_ms in enumerate(TIMES_MS):
            frame = av.VideoFrame.from_ndarray(np.full((96, 160, 3), 5 * number, np.uint8), format="rgb24")
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            out.mux(track.encode(frame))
        out.mux(track.encode(None))


found = {}
for name, file, b_frames in (
    ("MP4, no B-frames", "plain.mp4", 0),
    ("MP4, 2 B-frames", "b.mp4", 2),
    ("Matroska, 2 B-frames", "b.mkv", 2),
):
    write(f"{sys.argv[1]}/{file}", b_frames)
    with av.open(f"{sys.argv[1]}/{file}") as clip:
        rate = round(float(clip.streams.video[0].average_rate), 2)
        last_s = max(frame.time for frame in clip.decode(video=0))
        found[name] = round(clip.duration / 1e6, 2), rate, round(last_s, 2)
    print(f"{name}: {found[name][0]} s, {rate:g} Hz, last frame at {found[name][2]} s")
reader = cv2.VideoCapture(f"{sys.argv[1]}/b.mp4")
by_opencv = reader.get(cv2.CAP_PROP_FRAME_COUNT), reader.get(cv2.CAP_PROP_FPS)
reader.release()
print(f"OpenCV of the second: {by_opencv[0]:g} frames at {by_opencv[1]:g} Hz")
assert list(found.values()) == [(7.2, 3.06, 7.1), (2.2, 10, 7.1), (7.2, 10, 7.1)], found
assert by_opencv == (22, 10), by_opencv
PYTHON
