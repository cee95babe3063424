"""Logistic regression, by Newton's method."""

from __future__ import annotations

import numpy as np

from edged.frame import F64, Flags

ROUNDS = 50
RIDGE = 1e-6  # added to the curvature, so that it can be inverted


def fit_logistic(x: F64, hit: Flags) -> F64:
    """Return the weights (F,) for which sigmoid(x · weights) is the share of hits; `x` (N, F), `hit` (N,)."""
    weights = np.zeros(x.shape[1])
    for _ in range(ROUNDS):
        p = 1 / (1 + np.exp(-x @ weights))
        curvature = (x * (p * (1 - p))[:, None]).T @ x + RIDGE * np.eye(len(weights))
        weights = weights + np.linalg.solve(curvature, x.T @ (hit - p))
    return np.asarray(weights)
