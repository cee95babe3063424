#!/bin/sh
# H.264 with B-frames, written by PyAV 18.1.0 (FFmpeg 8.1) to ASF and MXF and read again: as in AVI, each frame has the
# time at which its packet lies in the file, so that the pictures come in the right order and their times do not, without
# a word. MPEG-2 in MXF is right, as its reordering is written into the index; MP4 is right.
#
# Seen (12 frames at 25 Hz, the last four of them in ms; the pictures are in their order in each case):
#   mp4, libx264: 320 360 400 440
#   asf, libx264: 400 320 480 440
#   mxf, libx264: 360 280 440 400
#   mxf, mpeg2video: 320 360 400 440
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys
from fractions import Fraction

import av


def last_times_ms(kind: str, codec: str) -> list[int]:
    path = f"{sys.argv[1]}/clip.{kind}"
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 720, 576, "yuv420p"
        stream.options = {"bf": "2", "b_strategy": "0"}
        for number in range(12):
            frame = av.VideoFrame(720, 576, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([10 * number]) * plane.buffer_size)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with av.open(path) as container:
        frames = list(container.decode(video=0))
    luma = [int(frame.to_ndarray(format="yuv420p")[0, 0]) for frame in frames]
    assert luma == sorted(luma), luma
    return [round(1000 * frame.time) for frame in frames][-4:]


right = [320, 360, 400, 440]
for kind, codec, expected in (
    ("mp4", "libx264", right),
    ("asf", "libx264", [400, 320, 480, 440]),
    ("mxf", "libx264", [360, 280, 440, 400]),
    ("mxf", "mpeg2video", right),
):
    seen = last_times_ms(kind, codec)
    print(f"{kind}, {codec}: {' '.join(map(str, seen))}")
    assert seen == expected, (kind, codec, seen)
PYTHON
