#!/bin/sh
# movement 0.15.0 (tracks of animals' keypoints), compute_kinetic_energy: a keypoint that was not seen is NaN, and its
# energy counts as 0, while its mass still counts. An animal whose nose is hidden has a third less energy; where it
# moves without turning or bending, a third of what is left becomes "internal", which is 0 with all keypoints; and one
# that is not seen at all has energy 0: it rests. Differences are central, so the frames beside the gap are wrong as
# well. compute_speed and compute_velocity pass NaN on, and nothing here warns.
#
# Seen (three keypoints that move together by 10 a second; total; translational and internal):
#   all seen: 150; 150 and 0
#   nose not seen: 100; 67 and 33
#   beside a frame without the nose: 100; 67 and 33
#   none seen: 0; 0 and 0
#   speed of a nose that is not seen: nan
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check movement==0.15.0 xarray==2026.9.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy
import xarray
from movement.kinematics import compute_kinetic_energy, compute_speed

NAMES = ["nose", "withers", "tail"]


def track(hidden=None, names=()):
    """Keypoints one above the other that move to the right, 1 each 0.1 s; some are hidden in one frame (or in all)."""
    position = xarray.DataArray(
        numpy.zeros((9, 2, 3)),
        dims=["time", "space", "keypoints"],
        coords={"time": numpy.arange(9) / 10, "space": ["x", "y"], "keypoints": NAMES},
    )
    position.loc[{"space": "x"}] = numpy.arange(9.0)[:, None]
    position.loc[{"space": "y"}] = numpy.arange(3.0)
    if names:
        position[{"time": slice(None) if hidden is None else hidden}].loc[{"keypoints": list(names)}] = numpy.nan
    return position


for what, position, frame, wanted in (
    ("all seen", track(), 4, "150; 150 and 0"),
    ("nose not seen", track(None, ["nose"]), 4, "100; 67 and 33"),
    ("beside a frame without the nose", track(5, ["nose"]), 4, "100; 67 and 33"),
    ("none seen", track(None, NAMES), 4, "0; 0 and 0"),
):
    total = compute_kinetic_energy(position)[frame].item()
    parts = compute_kinetic_energy(position, decompose=True)[frame].values
    found = f"{total:.0f}; {parts[0]:.0f} and {abs(parts[1]):.0f}"
    print(f"{what}: {found}")
    assert found == wanted, found

speed = compute_speed(track(None, ["nose"])).sel(keypoints="nose")[4].item()
print(f"speed of a nose that is not seen: {speed}")
assert numpy.isnan(speed)
PYTHON
