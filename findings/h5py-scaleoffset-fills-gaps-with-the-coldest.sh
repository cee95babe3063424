#!/bin/sh
# h5py 3.16.0 (HDF5 2.0.0), scaleoffset=1, which keeps a digit behind the point and packs readings to a quarter: NaN is
# not kept, as the manual warns. What it becomes is the smallest value of its chunk, a plausible reading, and no error
# tells. It also holds for what was never written: with fillvalue=NaN the places of a chunk that are still to come read as
# its smallest reading as soon as one of them is written, while chunks of which nothing was written are NaN. So a file
# that is read while it grows, or that ended early, has readings to the end of the chunk.
#
# Seen (what comes back):
#   21.5 nan 22.0 -40.0: [ 21.5 -40.   22.  -40. ]
#   21.5 and 22.0 written of 8, chunks of 4, fillvalue NaN: [21.5 22.  21.5 21.5  nan  nan  nan  nan]
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check h5py==3.16.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys

import h5py
import numpy as np

assert h5py.version.hdf5_version == "2.0.0", h5py.version.hdf5_version
path = f"{sys.argv[1]}/readings.h5"
GAP = np.nan


def same(name: str, expected: list[float]) -> None:
    with h5py.File(path) as file:
        seen = file["t"][:]
    print(f"{name}: {seen}")
    np.testing.assert_array_equal(seen, expected)


with h5py.File(path, "w") as file:
    file.create_dataset("t", data=[21.5, GAP, 22.0, -40.0], scaleoffset=1)
same("21.5 nan 22.0 -40.0", [21.5, -40.0, 22.0, -40.0])
with h5py.File(path, "w") as file:
    file.create_dataset("t", shape=8, chunks=4, dtype="f8", fillvalue=GAP, scaleoffset=1)[:2] = [21.5, 22.0]
same("21.5 and 22.0 written of 8, chunks of 4, fillvalue NaN", [21.5, 22.0, 21.5, 21.5, GAP, GAP, GAP, GAP])
PYTHON
