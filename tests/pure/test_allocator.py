from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from edged.box.allocator import give_back, settle


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


class Knot:
    """Garbage that only Python's collector finds."""

    def __init__(self) -> None:
        self.me = self


def test_what_is_there_when_settled_is_left_alone_until_the_next_time() -> None:
    settle()
    assert gc.get_freeze_count() > len(gc.get_objects())


def test_garbage_made_later_goes_when_memory_is_given_back() -> None:
    settle()
    knot = weakref.ref(Knot())
    assert knot() is not None
    give_back()
    assert knot() is None


def test_garbage_of_before_goes_when_settled_anew() -> None:
    made = Knot()
    knot = weakref.ref(made)
    settle()
    del made
    give_back()
    assert knot() is not None
    settle()
    assert knot() is None
