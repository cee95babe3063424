"""Median and mean of the values that are not NaN. For a few numbers: NumPy's own take longer than all the rest."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from edged.frame import F64


def nan_median(values: F64 | Iterable[float]) -> float:
    """The upper median of the values (N,) that are not NaN; NaN without any."""
    plain = values.tolist() if isinstance(values, np.ndarray) else values
    known = sorted(value for value in plain if not math.isnan(value))
    return known[len(known) // 2] if known else math.nan


def nan_mean(values: Iterable[float]) -> float:
    """The mean of the values that are not NaN; NaN without any."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
