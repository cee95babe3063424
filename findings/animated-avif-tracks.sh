#!/bin/sh
# PyAV 18.1.0 (FFmpeg 8.1): an animated AVIF, as Pillow 12.0.0 writes it, opens with two video streams. The first one,
# which every "first video stream" rule takes, is the still picture of one frame; the animation is the second one.
#
# Seen:
#   stream 0: 1 frame
#   stream 1: 5 frames
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 pillow==12.0.0
"$folder/venv/bin/python" - "$folder/clip.avif" <<'PYTHON'
import sys

import av
from PIL import Image

first, *others = (Image.new("RGB", (64, 48), (50 * i, 100, 200 - 40 * i)) for i in range(5))
first.save(sys.argv[1], save_all=True, append_images=others, duration=100)
with av.open(sys.argv[1]) as container:
    counts = []
    for stream in container.streams.video:
        container.seek(0)
        counts.append(sum(1 for _ in container.decode(stream)))
for number, count in enumerate(counts):
    print(f"stream {number}: {count} frame{'s' if count > 1 else ''}")
assert counts == [1, 5], counts
PYTHON
