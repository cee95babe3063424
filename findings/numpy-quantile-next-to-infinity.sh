#!/bin/sh
# numpy 2.4.6: quantile and percentile (and their nan-kin) give NaN where the answer lies beside an infinite value, also
# where it is exactly a finite one, or where all values around are infinite: they interpolate, 2 + 0 * (inf - 2), and
# inf - inf. median has another formula and is right. Infinity stands for "never answered" or "no match": the 95th
# percentile of latencies turns NaN just when a few requests were lost. The methods that choose a value (lower, nearest,
# inverted_cdf) are right.
#
# Seen (quantile, nanquantile, method="lower", median):
#   half of 1, 2, inf: nan, nan, 2.0, 2.0
#   half of 1, inf, inf: nan, nan, inf, inf
#   half of 1, 2, 3, 4, inf: 3.0, 3.0, 3.0, 3.0
#   0.95 of 0 ... 95 and five times inf: nan, nan, 95.0
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import warnings

import numpy as np

warnings.simplefilter("ignore")  # numpy warns of an invalid value
inf = np.inf
for what, values, share, wanted in (
    ("half of 1, 2, inf", [1, 2, inf], 0.5, ["nan", "nan", "2.0", "2.0"]),
    ("half of 1, inf, inf", [1, inf, inf], 0.5, ["nan", "nan", "inf", "inf"]),
    ("half of 1, 2, 3, 4, inf", [1, 2, 3, 4, inf], 0.5, ["3.0", "3.0", "3.0", "3.0"]),
    ("0.95 of 0 ... 95 and five times inf", [*range(96)] + [inf] * 5, 0.95, ["nan", "nan", "95.0"]),
):
    answers = [np.quantile(values, share), np.nanquantile(values, share), np.quantile(values, share, method="lower")]
    if share == 0.5:
        answers.append(np.median(values))
    found = [str(float(answer)) for answer in answers]
    print(f"{what}: {', '.join(found)}")
    assert found == wanted, found
PYTHON
