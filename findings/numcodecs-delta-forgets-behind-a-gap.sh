#!/bin/sh
# numcodecs 0.16.6, filters for Zarr's chunks. Delta stores the differences of neighbours and adds them up again, and is
# taken for lossless. Of floats it is not: one NaN ("not measured") makes all that comes after it in the chunk NaN, the
# readings are gone, and one large value rounds them away: 0.3 behind 1e8 is 0.0 in float32. Nothing is said in either case.
# FixedScaleOffset, which one takes for readings with a known step, makes 0.0 of NaN, as if it had been measured (numpy
# warns of a cast).
#
# Seen (what comes back):
#   Delta of 21.5 nan 22.0 22.5: [21.5  nan  nan  nan]
#   Delta of 0.1 1e8 0.3 0.4, float32: [1.e-01 1.e+08 0.e+00 1.e-01]
#   FixedScaleOffset of 21.5 nan 22.0 22.5: [21.5  0.  22.  22.5]
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numcodecs==0.16.6 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import numcodecs
import numpy as np

np.set_printoptions(precision=1)
READINGS, OUTLIER = [21.5, np.nan, 22.0, 22.5], [0.1, 1e8, 0.3, 0.4]
SCALED = numcodecs.FixedScaleOffset(offset=0, scale=10, dtype="f8", astype="i2")
for name, codec, values, expected in (
    ("Delta of 21.5 nan 22.0 22.5", numcodecs.Delta("f8"), READINGS, [21.5, np.nan, np.nan, np.nan]),
    ("Delta of 0.1 1e8 0.3 0.4, float32", numcodecs.Delta("f4"), OUTLIER, [0.1, 1e8, 0.0, 0.1]),
    ("FixedScaleOffset of 21.5 nan 22.0 22.5", SCALED, READINGS, [21.5, 0.0, 22.0, 22.5]),
):
    seen = codec.decode(codec.encode(np.array(values, codec.dtype)))
    print(f"{name}: {seen}")
    np.testing.assert_allclose(seen, expected, rtol=1e-6)
PYTHON
