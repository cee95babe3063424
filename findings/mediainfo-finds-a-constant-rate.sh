#!/bin/sh
# MediaInfo 24.12 (in pymediainfo 7.0.1), which is what one asks whether a video's rate is constant: of a Matroska file it
# looks at the first frames, says "CFR", and makes the number of frames of the length times that rate. A camera that goes from
# 25 Hz to 5 Hz when it gets dark is constant, with three times the frames that are there; a hole of 40 s is 400
# frames. With parse_speed=1 it reads all of it and counts right, and says CFR and 25 Hz still, while number / length
# is 8. The same frames in MP4 are VFR, with the right number.
#
# Seen (what is told: mode, rate, frames):
#   400 frames, 25 Hz, then 5 Hz, Matroska: CFR, 25.000, 1198; all of it read: CFR, 25.000, 400
#   400 frames, 25 Hz, then 5 Hz, MP4: VFR, 8.351, 400; all of it read: VFR, 8.351, 400
#   400 frames, 10 Hz, nothing for 40 s, Matroska: CFR, 10.000, 800; all of it read: CFR, 10.000, 400
#   400 frames, 10 Hz, nothing for 40 s, MP4: VFR, 5.000, 400; all of it read: VFR, 5.000, 400
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pymediainfo==7.0.1 av==18.1.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys
from fractions import Fraction

import av
import numpy as np
from pymediainfo import MediaInfo

SLOWER = [0.04 * number for number in range(200)] + [8 + 0.2 * number for number in range(200)]
HOLE = [0.1 * number for number in range(200)] + [60 + 0.1 * number for number in range(200)]


def write(path: str, times: list[float]) -> None:
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"bf": "0", "sc_threshold": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, time_s in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number // 2, np.uint8), "rgb24")
            frame.pts, frame.time_base = round(1000 * time_s), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def told(path: str, speed: float) -> str:
    (track,) = (track for track in MediaInfo.parse(path, parse_speed=speed).tracks if track.track_type == "Video")
    return f"{track.frame_rate_mode}, {track.frame_rate}, {track.frame_count}"


for name, times, expected in (
    ("25 Hz, then 5 Hz", SLOWER, (("CFR, 25.000, 1198", "CFR, 25.000, 400"), ("VFR, 8.351, 400",) * 2)),
    ("10 Hz, nothing for 40 s", HOLE, (("CFR, 10.000, 800", "CFR, 10.000, 400"), ("VFR, 5.000, 400",) * 2)),
):
    for kind, ending, wanted in zip(("Matroska", "MP4"), ("mkv", "mp4"), expected):
        path = f"{sys.argv[1]}/clip.{ending}"
        write(path, times)
        seen = told(path, 0.5), told(path, 1)
        print(f"400 frames, {name}, {kind}: {seen[0]}; all of it read: {seen[1]}")
        assert seen == wanted, wanted
PYTHON
