#!/bin/sh
# LERC in tifffile 2026.3.3 and imagecodecs 2026.3.6, the compression for maps of heights, depths and temperatures with a bound on
# the error, or none: NaN, "not measured", comes back as 0.0, without a word, also where it is lossless. The format keeps such
# places in a mask, and the file has it; but tifffile, which gives no way to ask for it, leaves what stands there as a number.
# imagecodecs hands it out with lerc_decode(masks=True). All other compressions of tifffile for floats keep NaN. So a
# thermal picture has pixels of 0 degrees, and a depth image walls at the lens, and every mean and minimum counts them.
#
# Seen (293.0, NaN, 295.0, in blocks of 8 x 8; what is read):
#   tifffile, zlib: 293.0 nan 295.0
#   tifffile, zstd: 293.0 nan 295.0
#   tifffile, lerc: 293.0 0.0 295.0
#   imagecodecs, lerc: 293.0 0.0 295.0
#   imagecodecs, lerc, its mask: True False True
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tifffile==2026.3.3 imagecodecs==2026.3.6 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import io

import imagecodecs
import numpy as np
import tifffile

MEASURED = np.array([[293, np.nan, 295]], np.float32).repeat(8, 0).repeat(8, 1)


def by_tifffile(compression):
    file = io.BytesIO()
    tifffile.imwrite(file, MEASURED, compression=compression)
    return tifffile.imread(io.BytesIO(file.getvalue()))


values, mask = imagecodecs.lerc_decode(imagecodecs.lerc_encode(MEASURED), masks=True)
assert (mask == ~np.isnan(MEASURED)).all()
for what, read, expected in (
    ("tifffile, zlib", by_tifffile("zlib"), MEASURED),
    ("tifffile, zstd", by_tifffile("zstd"), MEASURED),
    ("tifffile, lerc", by_tifffile("lerc"), np.nan_to_num(MEASURED)),
    ("imagecodecs, lerc", imagecodecs.lerc_decode(imagecodecs.lerc_encode(MEASURED)), np.nan_to_num(MEASURED)),
    ("imagecodecs, lerc, its mask", mask, ~np.isnan(MEASURED)),
):
    print(f"{what}: {' '.join(map(str, read[0, ::8]))}")
    assert np.array_equal(read, expected, equal_nan=read.dtype != bool)
PYTHON
