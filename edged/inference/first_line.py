"""The first line of a library's error: the rest is its source lines and stack."""

from __future__ import annotations


def first_line(error: Exception) -> str:
    """The first line of its text; empty when it has none."""
    return str(error).strip().split("\n", 1)[0]
