#!/bin/sh
# H.264 can say in the bitstream how a picture is to be turned (SEI display orientation, with "holds until further notice"), as
# against a rotation in the MP4. PyAV 18.1.0 (FFmpeg 8.1) gives it as `frame.rotation` of the picture that the message came
# with, which is the key frame, and 0 for all others, so that turning each frame by its own `rotation` turns one
# in each group. OpenCV 5.0.0.93 does not turn at all, and CAP_PROP_ORIENTATION_META is 0.
#
# Seen (5 frames, the first one a key frame, marked as turned by 180 degrees; OpenCV: brighter side of the picture):
#   as it is: rotation 0 0 0 0 0; OpenCV: meta 0, right
#   marked: rotation -180 0 0 0 0; OpenCV: meta 0, right
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
from av.bitstream import BitStreamFilterContext

plain, marked = f"{sys.argv[1]}/plain.ts", f"{sys.argv[1]}/marked.ts"
with av.open(plain, "w") as container:
    stream = container.add_stream("libx264", rate=10)
    stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
    for number in range(5):
        frame = av.VideoFrame(160, 96, "yuv420p")
        for index, plane in enumerate(frame.planes):
            line = bytes(min(20 + place, 235) if index == 0 else 128 for place in range(plane.line_size))
            plane.update(line * plane.height)
        frame.pts, frame.time_base = number, Fraction(1, 10)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())
with av.open(plain) as source, av.open(marked, "w") as target:
    old = source.streams.video[0]
    new = target.add_stream_from_template(old)
    turn = BitStreamFilterContext("h264_metadata=display_orientation=insert:rotate=180", old)
    for packet in source.demux(old):
        for changed in turn.filter(packet if packet.dts is not None else None):
            changed.stream = new
            target.mux(changed)

seen = []
for name, path in (("as it is", plain), ("marked", marked)):
    with av.open(path) as container:
        rotations = [frame.rotation for frame in container.decode(video=0)]
    video = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
    good, image = video.read()
    assert good
    side = "right" if image[48, 150, 0] > image[48, 10, 0] else "left"
    seen.append((rotations, int(video.get(cv2.CAP_PROP_ORIENTATION_META)), side))
    print(f"{name}: rotation {' '.join(map(str, rotations))}; OpenCV: meta {seen[-1][1]}, {side}")
assert seen == [([0] * 5, 0, "right"), ([-180, 0, 0, 0, 0], 0, "right")], seen
PYTHON
