"""A clock moved by hand, for whatever tells time by being called."""

from __future__ import annotations

import pytest


class Hand:
    now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def hand() -> Hand:
    return Hand()
