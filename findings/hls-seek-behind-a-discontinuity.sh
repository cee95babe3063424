#!/bin/sh
# PyAV 18.1.0 (FFmpeg 8.1), HLS: where a camera or a recorder started anew the playlist has an EXT-X-DISCONTINUITY, and the
# times in the segments begin anew. FFmpeg does not read that line. Frame times go back to 0 in the middle, while the
# length given is that of the whole; and a seek to any time behind that place gives no frame and no error: the right
# segment is opened, and all in it is thrown away as too early. OpenCV 5.0.0.93 gets the right frames, by counting; the
# time that it gives for them is wrong too.
#
# Seen (two segments of 2 s at 10 Hz; frames from the seek to the end, time of the first one):
#   length: 4.0 s; times of frames 19 to 22: 1.8 1.9 0.0 0.1
#   PyAV, seek to 2.5 s: 0 frames
#   OpenCV, seek to 2.5 s: 15 frames, the first one at 0.5 s
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 opencv-python-headless==5.0.0.93 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2

top = Path(sys.argv[1])
for name in ("before", "after"):
    with av.open(str(top / f"{name}.ts"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        stream.options = {"g": "20", "bf": "0", "sc_threshold": "0"}
        for number in range(20):
            frame = av.VideoFrame(160, 96, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([5 * number]) * plane.buffer_size)
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
playlist = top / "live.m3u8"
playlist.write_text(
    "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\nbefore.ts\n"
    "#EXT-X-DISCONTINUITY\n#EXTINF:2.0,\nafter.ts\n#EXT-X-ENDLIST\n"
)
with av.open(str(playlist)) as container:
    length_s = container.duration / av.time_base
    times = [round(frame.time, 1) for frame in container.decode(video=0)]
print(f"length: {length_s} s; times of frames 19 to 22: {' '.join(map(str, times[18:22]))}")
with av.open(str(playlist)) as container:
    container.seek(int(2.5 * av.time_base))
    by_pyav = len(list(container.decode(video=0)))
print(f"PyAV, seek to 2.5 s: {by_pyav} frames")
video, by_opencv = cv2.VideoCapture(str(playlist), cv2.CAP_FFMPEG), []
video.set(cv2.CAP_PROP_POS_MSEC, 2500)
while video.read()[0]:
    by_opencv.append(round(video.get(cv2.CAP_PROP_POS_MSEC) / 1000, 1))
print(f"OpenCV, seek to 2.5 s: {len(by_opencv)} frames, the first one at {by_opencv[0]} s")
assert (length_s, times[18:22]) == (4.0, [1.8, 1.9, 0.0, 0.1]), (length_s, times)
assert (by_pyav, len(by_opencv), by_opencv[0]) == (0, 15, 0.5), (by_pyav, by_opencv)
PYTHON
