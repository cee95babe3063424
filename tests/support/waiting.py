"""Waiting for a state."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

LIMIT_S = 60.0  # of any wait; never reached when all is well


def until(true: Callable[[], Any], limit_s: float = LIMIT_S) -> Any:
    """Wait for a state; fail when it does not come."""
    end_s = time.monotonic() + limit_s
    while not (found := true()):
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.01)
    return found
