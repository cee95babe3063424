#!/bin/sh
# PyAV 18.1.0 (FFmpeg 8.1): a frame has a time (pts and time_base), and add_stream(codec, rate=10) a rate, which one takes for a
# hint where frames are uneven. The encoder counts time in steps of 1 / rate, and PyAV rounds each frame's time to them,
# without a word: a camera's jitter is gone, or made up, and two frames that fall into one step get the same time in
# Matroska, and in MP4 end the recording with EINVAL. stream.time_base, the obvious place, changes nothing, though it is
# kept as set; it has to be stream.codec_context.time_base, before the first frame.
#
# Seen (frames at 0, 130, 210, 340, 345, 520 and 990 ms, H.264; times in the file):
#   Matroska: 0 100 200 300 300 500 1000
#   Matroska, stream.time_base: 0 100 200 300 300 500 1000
#   Matroska, codec_context.time_base: 0 130 210 340 345 520 990
#   MP4: ArgumentError
#   MP4, codec_context.time_base: 0 130 210 340 345 520 990
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys
from fractions import Fraction

import av
import numpy as np

TIMES_MS = 0, 130, 210, 340, 345, 520, 990
ROUNDED, KEPT = "0 100 200 300 300 500 1000", " ".join(map(str, TIMES_MS))
MS = Fraction(1, 1000)


def written(ending: str, set_by: str) -> str:
    """The times in the file, in ms, or the error."""
    path = f"{sys.argv[1]}/clip.{ending}"
    try:
        with av.open(path, "w") as container:
            stream = container.add_stream("libx264", rate=10)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            if set_by == "stream":
                stream.time_base = MS
            elif set_by == "codec_context":
                stream.codec_context.time_base = MS
            for number, time_ms in enumerate(TIMES_MS):
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * number, np.uint8), "rgb24")
                frame.pts, frame.time_base = time_ms, MS
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    except av.FFmpegError as exc:
        return type(exc).__name__
    with av.open(path) as container:
        return " ".join(str(round(1000 * frame.time)) for frame in container.decode(video=0))


for name, ending, set_by, expected in (
    ("Matroska", "mkv", "", ROUNDED),
    ("Matroska, stream.time_base", "mkv", "stream", ROUNDED),
    ("Matroska, codec_context.time_base", "mkv", "codec_context", KEPT),
    ("MP4", "mp4", "", "ArgumentError"),
    ("MP4, codec_context.time_base", "mp4", "codec_context", KEPT),
):
    seen = written(ending, set_by)
    print(f"{name}: {seen}")
    assert seen == expected, expected
PYTHON
