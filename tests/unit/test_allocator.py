from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from edged.runtime.allocator import freeze_gc, trim_heap


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


class Knot:
    """Garbage that only Python's collector finds."""

    def __init__(self) -> None:
        self.me = self


def test_frozen_objects_are_not_collected() -> None:
    freeze_gc()
    assert gc.get_freeze_count() > len(gc.get_objects())


def test_garbage_made_after_freezing_is_collected_by_trimming() -> None:
    freeze_gc()
    knot = weakref.ref(Knot())
    assert knot() is not None
    trim_heap()
    assert knot() is None


def test_garbage_of_before_is_collected_by_freezing_again() -> None:
    made = Knot()
    knot = weakref.ref(made)
    freeze_gc()
    del made
    trim_heap()
    assert knot() is not None
    freeze_gc()
    assert knot() is None
