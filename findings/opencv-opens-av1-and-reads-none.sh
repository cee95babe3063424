#!/bin/sh
# opencv-python-headless 5.0.0.93: an AV1 video opens, with its size, its rate and its number of frames, and gives none:
# read() is False at the first one, as at the end of a file. The FFmpeg in the wheel reads the container and has an AV1
# decoder for graphics cards only; isOpened() does not ask it. Pictures in AVIF, which are AV1 as well, it reads, by another
# library. PyAV 18.1.0 has dav1d.
#
# Seen (40 frames):
#   OpenCV: opened True, 160 x 96, 10 Hz, 40 frames announced, 0 read
#   PyAV: libdav1d, 40 read
#   OpenCV, a picture in AVIF: 160 x 96
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 opencv-python-headless==5.0.0.93 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import os
import sys
from fractions import Fraction

os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"
import av
import cv2
import numpy as np

path, picture = f"{sys.argv[1]}/clip.mp4", f"{sys.argv[1]}/picture.avif"
with av.open(path, "w") as container:
    stream = container.add_stream("libsvtav1", rate=10)
    stream.width, stream.height, stream.pix_fmt, stream.options = 160, 96, "yuv420p", {"preset": "12"}
    for number in range(40):
        frame = av.VideoFrame(160, 96, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([5 * number]) * plane.buffer_size)
        frame.pts, frame.time_base = number, Fraction(1, 10)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())
video, read = cv2.VideoCapture(path, cv2.CAP_FFMPEG), 0
told = [int(video.get(which)) for which in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS)]
opened, announced = video.isOpened(), int(video.get(cv2.CAP_PROP_FRAME_COUNT))
while video.read()[0]:
    read += 1
print(f"OpenCV: opened {opened}, {told[0]} x {told[1]}, {told[2]} Hz, {announced} frames announced, {read} read")
with av.open(path) as container:
    decoder = container.streams.video[0].codec_context.codec.name
    by_pyav = len(list(container.decode(video=0)))
print(f"PyAV: {decoder}, {by_pyav} read")
cv2.imwrite(picture, np.full((96, 160, 3), 100, np.uint8))
height, width, _ = cv2.imread(picture).shape
print(f"OpenCV, a picture in AVIF: {width} x {height}")
assert (opened, told, announced, read) == (True, [160, 96, 10], 40, 0), (opened, told, announced, read)
assert (decoder, by_pyav, width) == ("libdav1d", 40, 160), (decoder, by_pyav, width)
PYTHON
