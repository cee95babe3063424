#!/bin/sh
# ezc3d 1.7.2: two things that it writes into a C3D file without a word are not there when it reads the file. Of a
# recording of more than 65535 frames (18 minutes at 60 Hz) all frames are written, the size of the file tells so, but
# the header says 65535, and no more are read; the parameters by which others say a longer length (TRIAL) are not
# written. And residuals, where the error of a triangulated joint goes, are kept as one byte, cut off and not rounded,
# modulo 256: an error in metres is always 0, and one of 300 mm looks better than one of 130. The positions are exact.
#
# Seen (frames written, bytes for each of them in the file, frames read; residuals written and read):
#   65535 frames: 16 bytes each, 65535 read, the last one is 65534
#   70000 frames: 16 bytes each, 65535 read, the last one is 65534
#   residuals of 0.004, 0.9, 1.9, 130, 300: 0, 0, 1, 130, 44
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ezc3d==1.7.2 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import pathlib

import ezc3d
import numpy


def again(residuals):
    """A file of one point with these residuals, its x the number of the frame, as it is read again."""
    file = ezc3d.c3d()
    file["parameters"]["POINT"]["RATE"]["value"] = [60]
    file["parameters"]["POINT"]["LABELS"]["value"] = ["nose"]
    points = numpy.ones((4, 1, len(residuals)))
    points[0, 0] = numpy.arange(len(residuals))
    file["data"]["points"] = points
    file["data"]["meta_points"]["residuals"] = numpy.array(residuals, float).reshape(1, 1, -1)
    file.write("points.c3d")
    return ezc3d.c3d("points.c3d")["data"]


for frames in (65535, 70000):
    x = again([0] * frames)["points"][0, 0]
    each = pathlib.Path("points.c3d").stat().st_size // frames
    print(f"{frames} frames: {each} bytes each, {len(x)} read, the last one is {x[-1]:.0f}")
    assert (each, len(x), x[-1]) == (16, 65535, 65534)

written = [0.004, 0.9, 1.9, 130, 300]
data = again(written)
read = data["meta_points"]["residuals"].ravel().tolist()
print(f"residuals of {', '.join(map(str, written))}: {', '.join(f'{value:g}' for value in read)}")
assert read == [0, 0, 1, 130, 44] and (data["points"][0, 0] == range(5)).all(), data
PYTHON
