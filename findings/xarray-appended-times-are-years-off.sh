#!/bin/sh
# xarray 2026.9.0 (zarr 3.1.6), to_zarr(append_dim="time"): times are stored as whole numbers in the largest unit that fits
# those of the first write. Where a later one does not fit, xarray warns that it "can't be serialized faithfully" and that
# it is "serializing with units 'seconds'" instead, writes the number of seconds, and leaves the unit of the store as it
# was: half a minute past 03:10 on the same day is hour 11430, a year and more ahead. A recording that began on full hours, or
# with one value, is wrong from its first odd time on. The warning reads as if it had been taken care of.
# encoding={"time": {"units": "milliseconds since 1970-01-01", "dtype": "int64"}} at the first write helps.
#
# Seen (written, then appended: the last time, as it is read):
#   hours from 00:00 to 02:00, then 03:10:30: 2027-04-22T06:00:00, 1 warning
#   the same with units of milliseconds: 2026-01-01T03:10:30, 0 warnings
#   hours from 00:00 to 02:00, then 03:00: 2026-01-01T03:00:00, 0 warnings
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check xarray==2026.9.0 zarr==3.1.6 pandas==3.1.1 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import warnings

import pandas as pd
import xarray as xr

DAY = pd.Timestamp("2026-01-01")
UNITS = {"time": {"units": "milliseconds since 1970-01-01", "dtype": "int64"}}


def readings(*hours):
    times = [DAY + pd.Timedelta(hours=hour[0], minutes=hour[1], seconds=hour[2]) for hour in hours]
    return xr.Dataset({"x": ("time", [1.0] * len(times))}, coords={"time": times})


first = readings((0, 0, 0), (1, 0, 0), (2, 0, 0))
for number, (what, later, more, last, count) in enumerate(
    (
        ("hours from 00:00 to 02:00, then 03:10:30", (3, 10, 30), {}, "2027-04-22T06:00:00", 1),
        ("the same with units of milliseconds", (3, 10, 30), {"encoding": UNITS}, "2026-01-01T03:10:30", 0),
        ("hours from 00:00 to 02:00, then 03:00", (3, 0, 0), {}, "2026-01-01T03:00:00", 0),
    )
):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        first.to_zarr(f"{number}.zarr", consolidated=False, **more)
        readings(later).to_zarr(f"{number}.zarr", append_dim="time", consolidated=False)
    told = [warning for warning in told if "serialized faithfully" in str(warning.message)]
    read = xr.open_zarr(f"{number}.zarr", consolidated=False)["time"].values[-1]
    print(f"{what}: {str(read)[:19]}, {len(told)} warning{'s' * (len(told) != 1)}")
    assert str(read)[:19] == last and len(told) == count, (read, told)
PYTHON
