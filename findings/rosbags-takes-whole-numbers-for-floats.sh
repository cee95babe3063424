#!/bin/sh
# rosbags 0.11.9, writing ROS 2 messages: an array of 8 byte integers for a field of float64[], such as positions or readings that
# happen to be whole numbers (numpy's default for [0, 1, 2]), is written byte by byte. What comes back is 0, 5e-324, 1e-323:
# next to zero, plausible, and no error. So do arrays of the other byte order, as some cameras and files have them. float32 is
# refused, and so is a scalar of the wrong kind, so that one trusts the check. astype(float) before it is right.
#
# Seen (positions that are written, those that are read):
#   float64 [0. 1. 2.]: [0. 1. 2.]
#   int64 [0 1 2]: [0.e+000 5.e-324 1.e-323]
#   float64 of the other byte order: [0.e+000 3.e-319 3.e-322]
#   float32: ValueError
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check rosbags==0.11.9 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
from rosbags.typesys import Stores, get_typestore

STORE = get_typestore(Stores.ROS2_HUMBLE)
NAME, NONE = "sensor_msgs/msg/JointState", np.zeros(0)
np.set_printoptions(precision=0)


def back(positions: np.ndarray) -> np.ndarray:
    """The positions, as they are read from a message that they were written to."""
    header = STORE.types["std_msgs/msg/Header"](STORE.types["builtin_interfaces/msg/Time"](1, 0), "box")
    message = STORE.types[NAME](header, ["a", "b", "c"], positions, NONE, NONE)
    return STORE.deserialize_cdr(STORE.serialize_cdr(message, NAME), NAME).position


seen = back(np.array([0.0, 1, 2]))
print("float64 [0. 1. 2.]:", seen)
assert seen.tolist() == [0, 1, 2]
seen = back(np.array([0, 1, 2]))
print("int64 [0 1 2]:", seen)
assert seen.tolist() == np.array([0, 1, 2]).view(float).tolist() and seen.max() < 1e-300
seen = back(np.array([0.0, 1, 2]).astype(">f8"))
print("float64 of the other byte order:", seen)
assert seen[0] == 0 and 0 < seen[1:].min() and seen.max() < 1e-300
try:
    back(np.arange(3, dtype=np.float32))
    raise SystemExit("float32: no error")
except ValueError:
    print("float32: ValueError")
PYTHON
