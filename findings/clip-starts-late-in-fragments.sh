#!/bin/sh
# PyAV 18.1.0 (FFmpeg 8.1): the same frames, encoded by libx264 with two B-frames, begin at 0 s in an MP4 and at 0.2 s in a
# fragmented one (`movflags=frag_keyframe+empty_moov`, as recorders write it so that a power cut costs little): it has no
# edit list, which takes the B-frames' delay away. So does MPEG-TS. With `delay_moov` the list is there. OpenCV
# 5.0.0.93 says 0 for all of them: what one tool finds "at 1.0 s" is two frames away in the other.
#
# Seen (20 frames at 10 Hz; time of the first frame by PyAV, and POS_MSEC / 1000 by OpenCV):
#   plain MP4: 0.0 and 0.0
#   frag_keyframe+empty_moov: 0.2 and 0.0
#   frag_keyframe+empty_moov, without B-frames: 0.0 and 0.0
#   frag_keyframe+delay_moov: 0.0 and 0.0
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


def write(flags: str, b_frames: int) -> None:
    with av.open(sys.argv[1], "w", options={"movflags": flags} if flags else {}) as out:
        track = out.add_stream("libx264", rate=10, options={"bf": str(b_frames), "b_strategy": "0"})
        track.width, track.height, track.pix_fmt = 160, 96, "yuv420p"
        for number in range(20):
            frame = av.VideoFrame.from_ndarray(np.full((96, 160, 3), 10 * number, np.uint8), format="rgb24")
            frame.pts = number
            out.mux(track.encode(frame))
        out.mux(track.encode(None))


found = {}
for name, flags, b_frames in (
    ("plain MP4", "", 2),
    ("frag_keyframe+empty_moov", "frag_keyframe+empty_moov", 2),
    ("frag_keyframe+empty_moov, without B-frames", "frag_keyframe+empty_moov", 0),
    ("frag_keyframe+delay_moov", "frag_keyframe+delay_moov", 2),
):
    write(flags, b_frames)
    with av.open(sys.argv[1]) as clip:
        first_s = next(clip.decode(video=0)).time
    reader = cv2.VideoCapture(sys.argv[1])
    reader.read()
    found[name] = round(first_s, 3), reader.get(cv2.CAP_PROP_POS_MSEC) / 1000
    reader.release()
    print(f"{name}: {found[name][0]} and {found[name][1]}")
assert list(found.values()) == [(0, 0), (0.2, 0), (0, 0), (0, 0)], found
PYTHON
