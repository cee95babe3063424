#!/bin/sh
# filterpy 1.4.5: update(None) is for "nothing was measured", and leaves state and covariance alone. It sets the residual to 0,
# which is what a perfect measurement has, and the likelihood is computed from that. So in MMAEFilterBank, which weighs several
# filters by their likelihoods, an outage is evidence for the filter that expects the least noise, and after a while it is
# certain, whatever was measured before. A sum of log_likelihood, by which noise is tuned, counts it likewise. And
# `mahalanobis`, by which measurements are gated, raises TypeError with numpy 2.4.6 (it worked before with a warning).
#
# Seen (a filter for noise of variance 1, one for 4; the noise is of 4; weight of the second one):
#   after 12 measurements: 1.0000
#   after 12 measurements and 60 times None: 0.0000
#   log_likelihood of a measurement as expected: -2.44, of None after it: -2.44
#   mahalanobis of a filter with one measured number: TypeError
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check filterpy==1.4.5 numpy==2.4.6 scipy==1.17.1
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
from filterpy.kalman import KalmanFilter, MMAEFilterBank


def one(variance):
    """A filter of place and speed."""
    made = KalmanFilter(2, 1)
    made.F, made.H = np.array([[1.0, 1], [0, 1]]), np.array([[1.0, 0]])
    made.P *= 10
    made.R *= variance
    made.Q = np.eye(2) * 1e-4
    return made


bank = MMAEFilterBank([one(1.0), one(4.0)], np.array([0.5, 0.5]), 2, H=np.array([[1.0, 0]]))
for time in range(12):
    bank.predict()
    bank.update(np.array([time + (2.0 if time % 2 else -2.0)]))
before = bank.p[1]
print(f"after 12 measurements: {before:.4f}")
for _ in range(60):
    bank.predict()
    bank.update(None)
after = bank.p[1]
print(f"after 12 measurements and 60 times None: {after:.4f}")
assert before > 0.99 and after < 0.01, (before, after)
single = one(1.0)
single.predict()
single.update(single.H @ single.x)
told = [single.log_likelihood]
single.predict()
single.update(None)
told.append(single.log_likelihood)
print(f"log_likelihood of a measurement as expected: {told[0]:.2f}, of None after it: {told[1]:.2f}")
assert told[0] == told[1], told
try:
    seen = repr(single.mahalanobis)
except TypeError as exc:
    seen = type(exc).__name__
print(f"mahalanobis of a filter with one measured number: {seen}")
assert seen == "TypeError"
PYTHON
