#!/bin/sh
# imageio 2.38.1 with imageio-ffmpeg 0.8.1, a video whose frames are uneven in time, as telephones, cameras at night and
# recorders with a gap write it: the reader that imageio takes unless told makes the rate even by repeating frames, and
# says nothing. The reader's own count_frames() counts those of the file, so it gives ten times as many as it counted; frame
# 5 is another picture than the file's; and the same frames give other pictures from MP4 than from Matroska. The
# plugin "pyav" gives each frame once. Labels that were made with one reader do not fit the other.
#
# Seen (gap: 20 frames at 10 Hz, nothing for 5 s, 2 more. pairs: 20 times two frames 10 ms apart, 5 times a second. Frames
# read, count_frames(), and which frame of the file is number 5; then frames read by "pyav", and its number 5):
#   gap.mp4: 72 read, 22 counted, number 5 is 5; pyav: 22 read, number 5 is 5
#   pairs.mp4: 391 read, 40 counted, number 5 is 1; pyav: 40 read, number 5 is 5
#   pairs.mkv: 40 read, 40 counted, number 5 is 5; pyav: 40 read, number 5 is 5
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    imageio==2.38.1 imageio-ffmpeg==0.8.1 av==18.1.0 numpy==2.4.6 pillow==13.0.0
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys
from fractions import Fraction

import av
import imageio.v2
import imageio.v3
import numpy as np

GAP = [number / 10 for number in range(20)] + [7.0, 7.1]
PAIRS = [number // 2 * 0.2 + number % 2 * 0.01 for number in range(40)]


def write(path: str, times: list[float]) -> None:
    """A video without loss, each frame as bright as five times its number."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"qp": "0", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, time_s in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 5 * number, np.uint8), "rgb24")
            frame.pts, frame.time_base = round(1000 * time_s), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def numbers(frames) -> list[int]:
    return [round(float(frame.mean()) / 5) for frame in frames]


for name, times, expected in (
    ("gap.mp4", GAP, (72, 22, 5, 22, 5)),
    ("pairs.mp4", PAIRS, (391, 40, 1, 40, 5)),
    ("pairs.mkv", PAIRS, (40, 40, 5, 40, 5)),
):
    path = f"{sys.argv[1]}/{name}"
    write(path, times)
    read, by_pyav = numbers(imageio.v3.imiter(path)), numbers(imageio.v3.imiter(path, plugin="pyav"))
    with imageio.v2.get_reader(path) as reader:
        counted = reader.count_frames()
    fifth = numbers([imageio.v3.imread(path, index=5), imageio.v3.imread(path, index=5, plugin="pyav")])
    seen = len(read), counted, fifth[0], len(by_pyav), fifth[1]
    print("{}: {} read, {} counted, number 5 is {}; pyav: {} read, number 5 is {}".format(name, *seen))
    assert seen == expected, expected
PYTHON
