#!/bin/sh
# PyAV 18.1.0 (FFmpeg 8.1), filter tmedian, the median of several frames, by which one takes moving animals out of the
# background or noise out of a picture at night: the median of 2 r + 1 frames gets the time of the first of them, not of the
# one in its middle. So what is seen comes r frames early: with r = 5 and 10 frames a second a lamp is on half a second
# before it was switched on, and a difference to the original, which FFmpeg joins by time, compares with the future. The
# last 2 r frames are left out. tmix, the mean of frames, gives the time of its last one; atadenoise keeps each frame's time.
#
# Seen (40 frames, 10 a second; a lamp that is on from 2.0 s; first bright frame, number of frames):
#   tmedian, radius 1: 1.9 s, 38
#   tmedian, radius 5: 1.5 s, 30
#   tmix, 3 frames: 2.1 s, 40
#   atadenoise: 2.0 s, 40
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
from fractions import Fraction

import av
import numpy as np

TENTH = Fraction(1, 10)


def filtered(name: str, options: str) -> tuple[float, int]:
    """Time of the first bright frame, and the number of frames."""
    graph = av.filter.Graph()
    source = graph.add_buffer(width=16, height=16, format="gray", time_base=TENTH)
    effect, sink = graph.add(name, options), graph.add("buffersink")
    source.link_to(effect)
    effect.link_to(sink)
    graph.configure()
    bright, count = [], 0
    for number in [*range(40), None]:
        frame = None
        if number is not None:
            frame = av.VideoFrame.from_ndarray(np.full((16, 16), 220 if number >= 20 else 20, np.uint8), format="gray")
            frame.pts, frame.time_base = number, TENTH
        source.push(frame)
        while True:
            try:
                got = sink.pull()
            except (av.BlockingIOError, av.EOFError):
                break
            count += 1
            if got.to_ndarray()[0, 0] > 120:
                bright.append(float(got.pts * got.time_base))
    return bright[0], count


for label, name, options, expected in (
    ("tmedian, radius 1", "tmedian", "radius=1", (1.9, 38)),
    ("tmedian, radius 5", "tmedian", "radius=5", (1.5, 30)),
    ("tmix, 3 frames", "tmix", "frames=3", (2.1, 40)),
    ("atadenoise", "atadenoise", "", (2.0, 40)),
):
    seen = filtered(name, options)
    print(f"{label}: {seen[0]} s, {seen[1]}")
    assert seen == expected, expected
PYTHON
