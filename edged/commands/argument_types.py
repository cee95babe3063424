"""Types of command line arguments that several verbs share."""

from __future__ import annotations

import argparse
import threading


def seconds(text: str) -> float:
    """A duration that a timer can wait for. Raises ArgumentTypeError."""
    value = float(text)
    if not 0 < value <= threading.TIMEOUT_MAX:  # false for NaN too
        raise argparse.ArgumentTypeError(f"{text}: want a number of seconds above 0")
    return value
