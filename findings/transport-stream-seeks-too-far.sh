#!/bin/sh
# PyAV 18.1.0 (FFmpeg 8.1): `container.seek` goes to the key frame before the wanted time, as its manual says, and a reader
# decodes from there up to it. In an MPEG transport stream (.ts, as recorders and HLS cut them) there is no index: it goes
# to about the time itself, and the decoder then waits for the next key frame, up to a whole GOP behind it. The frames
# wanted never come, and a time in the last GOP gives none at all, without an error. OpenCV 5.0.0.93 gets there, to a frame.
#
# Seen (100 frames at 10 Hz, a key frame each 2 s; first frame after seek to 1.0, 4.7 and 9.5 s):
#   .mp4: 0.0, 4.0, 8.0
#   .ts: 2.0, 6.0, none
#   .ts by OpenCV: 1.0, 4.7, 9.4
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6 opencv-python-headless==5.0.0.93
"$folder/venv/bin/python" - "$folder/clip" <<'PYTHON'
import sys

import av
import cv2
import numpy as np

WANTED_S = (1.0, 4.7, 9.5)
OPTIONS = {"bf": "0", "g": "20", "keyint_min": "20", "sc_threshold": "0", "crf": "10"}


def write(path: str) -> None:
    with av.open(path, "w") as out:
        track = out.add_stream("libx264", rate=10, options=OPTIONS)
        track.width, track.height, track.pix_fmt = 160, 96, "yuv420p"
        for number in range(100):
            frame = av.VideoFrame.from_ndarray(np.full((96, 160, 3), 20 + 2 * number, np.uint8), format="rgb24")
            frame.pts = number
            out.mux(track.encode(frame))
        out.mux(track.encode(None))


def after_seek(path: str) -> list[float | None]:
    """Time of the first frame after each seek, from the beginning of the video."""
    told = []
    with av.open(path) as clip:
        track = clip.streams.video[0]
        begin = track.start_time
        for wanted_s in WANTED_S:
            clip.seek(begin + round(wanted_s / track.time_base), stream=track)
            frame = next(clip.decode(track), None)
            told.append(None if frame is None else round(float((frame.pts - begin) * track.time_base), 1))
    return told


def by_opencv(path: str) -> list[float]:
    """The same, by what the picture shows."""
    reader, told = cv2.VideoCapture(path), []
    for wanted_s in WANTED_S:
        reader.set(cv2.CAP_PROP_POS_MSEC, 1000 * wanted_s)
        told.append(round((reader.read()[1].mean() - 20) / 2) / 10)
    return told


found = {}
for kind in ("mp4", "ts"):
    write(f"{sys.argv[1]}.{kind}")
    found[kind] = after_seek(f"{sys.argv[1]}.{kind}")
    print(f".{kind}: {', '.join('none' if one is None else str(one) for one in found[kind])}")
right = by_opencv(f"{sys.argv[1]}.ts")
print(f".ts by OpenCV: {', '.join(map(str, right))}")
assert found == {"mp4": [0, 4, 8], "ts": [2, 6, None]}, found
assert all(abs(one - wanted) < 0.15 for one, wanted in zip(right, WANTED_S, strict=True)), right
PYTHON
