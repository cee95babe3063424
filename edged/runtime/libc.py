"""Functions of the C library."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any


@cache  # every CDLL makes a class: garbage that a frozen collector finds only after hours
def function(name: str) -> Callable[..., Any] | None:
    """The function; None where this C library has none of that name."""
    return getattr(ctypes.CDLL(None), name, None)
