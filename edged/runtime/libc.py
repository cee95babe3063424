"""The C library's own functions, each looked up once."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any


@cache  # every CDLL is a class of its own: garbage that Python, with little else to collect, looks for after hours
def function(name: str) -> Callable[..., Any] | None:
    """None where this C library has no such function."""
    return getattr(ctypes.CDLL(None), name, None)
