"""This machine in another time zone, for as long as a test lasts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import pytest

SetZone = Callable[[str], None]


@pytest.fixture
def set_zone() -> Iterator[SetZone]:
    before = os.environ.get("TZ")

    def set_to(name: str) -> None:
        os.environ["TZ"] = name
        time.tzset()

    yield set_to
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()
