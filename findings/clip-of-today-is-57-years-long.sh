#!/bin/sh
# PyAV 18.1.0 (FFmpeg 8.1): frames that carry the time of day as their time (seconds since 1970), so that a clip knows when it
# was taken. What is left of that depends on the container alone, and no writer says a word. MP4 and MOV keep it, with
# the right length. The same MP4 in fragments, as recorders write it against power cuts, begins in 1970: who switches to
# them loses the time of each clip. Matroska keeps it, and the file says that it lasts 57 years. FLV counts milliseconds
# in 32 bits, and a transport stream goes round after 26.5 hours: their times look like times and are not.
#
# Seen (2 s from 2026-12-01 12:00:00; first frame, length that the file states):
#   mp4: 2026-12-01 12:00:00, 1.9 s
#   mov: 2026-12-01 12:00:00, 1.9 s
#   mp4 in fragments: 1970-01-01 00:00:00, 1.9 s
#   mkv: 2026-12-01 12:00:00, 1796126401.9 s
#   flv: 1970-01-10 14:34:30, 1.9 s
#   ts: 1970-01-01 18:28:40, 2.0 s
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import datetime
import sys
from fractions import Fraction

import av
import numpy as np

NOON = int(datetime.datetime(2026, 12, 1, 12, tzinfo=datetime.timezone.utc).timestamp())
MILLISECOND = Fraction(1, 1000)
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov"}


def clip(suffix: str, options: dict[str, str]) -> tuple[str, float]:
    """First frame and stated length of a clip of 2 s, 10 frames a second, from noon."""
    path = f"{sys.argv[1]}/clip.{suffix}"
    with av.open(path, "w", options=options) as file:
        stream = file.add_stream("libx264", rate=1000, options={"bf": "0"})
        stream.width = stream.height = 64
        for number in range(20):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), number * 10, np.uint8)).reformat(format="yuv420p")
            frame.pts, frame.time_base = (NOON * 10 + number) * 100, MILLISECOND
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    with av.open(path) as file:
        first = next(file.decode(video=0)).time
        begin = datetime.datetime.fromtimestamp(first, datetime.timezone.utc)
        return f"{begin:%Y-%m-%d %H:%M:%S}", round(file.duration / av.time_base, 1)


for suffix, options, expected in (
    ("mp4", {}, ("2026-12-01 12:00:00", 1.9)),
    ("mov", {}, ("2026-12-01 12:00:00", 1.9)),
    ("mp4", FRAGMENTS, ("1970-01-01 00:00:00", 1.9)),
    ("mkv", {}, ("2026-12-01 12:00:00", NOON + 1.9)),
    ("flv", {}, ("1970-01-10 14:34:30", 1.9)),
    ("ts", {}, ("1970-01-01 18:28:40", 2.0)),
):
    begin, length = clip(suffix, options)
    print(f"{suffix}{' in fragments' if options else ''}: {begin}, {length} s")
    assert (begin, length) == expected, expected
PYTHON
