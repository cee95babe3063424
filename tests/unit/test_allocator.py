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


def test_what_is_there_when_settled_is_left_alone_until_the_next_time() -> None:
    freeze_gc()
    assert gc.get_freeze_count() > len(gc.get_objects())


def test_garbage_made_later_goes_when_memory_is_given_back() -> None:
    freeze_gc()
    knot = weakref.ref(Knot())
    assert knot() is not None
    trim_heap()
    assert knot() is None


def test_garbage_of_before_goes_when_settled_anew() -> None:
    made = Knot()
    knot = weakref.ref(made)
    freeze_gc()
    del made
    trim_heap()
    assert knot() is not None
    freeze_gc()
    assert knot() is None
