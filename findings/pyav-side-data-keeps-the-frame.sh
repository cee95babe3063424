#!/bin/sh
# PyAV 18.1.0 (FFmpeg 8.1): looking at frame.side_data, as one must to see whether a video is turned or mirrored, ties the
# frame and the container of its side data to each other. Neither ends with its last name any more, as frames do: both wait
# for Python's cycle collector, which counts objects and does not know that each of these holds megabytes. A loop that
# keeps nothing holds hundreds of pictures. frame.rotation, which reads the same matrix, ties nothing (and is 0 for a
# video that is upside down by mirroring).
#
# Seen (100 pictures of Motion JPEG, 1280 x 720, decoded one by one and dropped; most frames alive at once, the one before counts):
#   frame alone: 2, and 0 after gc.collect()
#   frame.rotation: 2, and 0 after gc.collect()
#   frame.side_data: 101, and 0 after gc.collect()
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder/clip.avi" <<'PYTHON'
import gc
import sys

import av
import numpy as np

PICTURES = 100
with av.open(sys.argv[1], "w") as container:
    stream = container.add_stream("mjpeg", rate=25)
    stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuvj420p"
    for number in range(PICTURES):
        frame = av.VideoFrame.from_ndarray(np.full((720, 1280, 3), number, np.uint8), "rgb24")
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def alive() -> int:
    return sum(isinstance(one, av.VideoFrame) for one in gc.get_objects())


def most_alive(look) -> int:
    """Frames alive at once, where each is looked at and dropped."""
    most = 0
    with av.open(sys.argv[1]) as container:
        for frame in container.decode(video=0):
            look(frame)
            most = max(most, alive())
    return most


del frame
gc.collect()
for name, look, expected in (
    ("frame alone", lambda frame: None, 2),
    ("frame.rotation", lambda frame: frame.rotation, 2),
    ("frame.side_data", lambda frame: frame.side_data.get("DISPLAYMATRIX"), PICTURES + 1),
):
    seen = most_alive(look)
    gc.collect()
    print(f"{name}: {seen}, and {alive()} after gc.collect()")
    assert (seen, alive()) == (expected, 0)
PYTHON
