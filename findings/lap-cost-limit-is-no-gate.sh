#!/bin/sh
# lap 0.5.13, lapjv(cost_limit=): the limit is not "no pair above it". It is the price of leaving one row and one column
# alone, and the sum is made small with it: two good pairs, both far below the limit, are dropped for one better pair.
# Trackers (ByteTrack and its kin) pass 1 - IoU with their threshold as the limit: two subjects that both could be
# matched lose one. scipy 1.17.1 with costs above the limit forbidden matches both.
#
# Seen (costs [[0.5, 0.95], [0.05, 0.5]], limit 0.9; column of each row):
#   lap: [-1, 0], one pair
#   scipy, 0.95 forbidden: [0, 1], two pairs
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check lap==0.5.13 scipy==1.17.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import lap
import numpy as np
from scipy.optimize import linear_sum_assignment

costs = np.array([[0.5, 0.95], [0.05, 0.5]])
limit = 0.9
columns = lap.lapjv(costs, cost_limit=limit)[1].tolist()
print(f"lap: {columns}, one pair")
gated = linear_sum_assignment(np.where(costs > limit, 1e6, costs))[1].tolist()
print(f"scipy, 0.95 forbidden: {gated}, two pairs")
assert columns == [-1, 0]
assert gated == [0, 1]
PYTHON
