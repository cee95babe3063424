"""Array types of the renderer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
U8 = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Numbers = NDArray[Any]


def f32(values: ArrayLike) -> F32:
    return np.asarray(values, np.float32)
