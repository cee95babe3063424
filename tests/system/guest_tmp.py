"""Containers and virtual machines have a /tmp of their own: what lies in this machine's is missing there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def skip_where_missing(*bound: Path) -> None:
    """Skip where the repository or the Python lies in /tmp; folders that are `bound` into the guest are there."""
    for needed in (REPOSITORY, Path(sys.prefix).resolve()):
        if needed.is_relative_to("/tmp") and not any(map(needed.is_relative_to, bound)):
            pytest.skip(f"{needed} lies in /tmp, and the guest has a /tmp of its own: clone and install elsewhere")
