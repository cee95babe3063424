"""bfloat16 in compiled code, which NumPy and Numba do not have: numbers of 16 bits as their bits, `uint16`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from torch import Tensor

Bits = npt.NDArray[np.uint16]


def _to_float(_: Any, bits: Any) -> Any:
    return types.float32(types.uint32), lambda _, builder, __, args: builder.bitcast(args[0], ir.FloatType())


def _to_bits(_: Any, value: Any) -> Any:
    return types.uint32(types.float32), lambda _, builder, __, args: builder.bitcast(args[0], ir.IntType(32))


float_of_bits: Any = intrinsic(_to_float)  # the float32 that has these 32 bits
bits_of_float: Any = intrinsic(_to_bits)


@njit(inline="always")
def widened(half: int) -> float:
    """Return the float32 of a bfloat16."""
    return float_of_bits(np.uint32(np.uint32(half) << np.uint32(16)))


@njit(inline="always")
def rounded(value: float) -> int:
    """Return the bfloat16 nearest to a finite float32, of two the even one."""
    bits = bits_of_float(value)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    return np.uint16(np.uint32(bits + np.uint32(0x7FFF) + odd) >> np.uint32(16))


def rows_of(x: Tensor, length: int) -> Bits:
    """Return a view (N, length) of the numbers of x (B, C, H, W), channels last in memory."""
    rows: Bits = x.view(torch.uint16).permute(0, 2, 3, 1).reshape(-1, length).numpy()
    return rows
