#!/bin/sh
# diskcache 5.6.3 (Cache and Deque): a NaN that is put in comes out as None. Floats are stored as numbers of SQLite, which has
# no NaN and makes NULL of it. A reader that computes with the last reading, or asks isnan(), fails where the writer said
# "not measured", and `cache.get(key) is None` says that nothing was ever stored. numpy's floats
# and NaN in a list are pickled, and come out as they were: the same code works with the one and not with the other.
#
# Seen (stored; what Cache and Deque give):
#   nan: None, None
#   numpy.float64(nan): nan, nan
#   [nan]: [nan], [nan]
#   inf: inf, inf
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check diskcache==5.6.3 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import math
import sys

import numpy
from diskcache import Cache, Deque

cache, deque = Cache(f"{sys.argv[1]}/cache"), Deque(directory=f"{sys.argv[1]}/deque")
for name, value, expected in (
    ("nan", math.nan, "None"),
    ("numpy.float64(nan)", numpy.float64("nan"), "nan"),
    ("[nan]", [math.nan], "[nan]"),
    ("inf", math.inf, "inf"),
):
    cache["reading"] = value
    deque.append(value)
    seen = str(cache["reading"]), str(deque.pop())
    print(f"{name}: {', '.join(seen)}")
    assert seen == (expected, expected), expected
PYTHON
