"""Errors by their code, so that their text can be reworded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from edged.errors import EdgedError


@contextmanager
def raises_code(kind: type[EdgedError], code: str, *named: str) -> Iterator[None]:
    """The block must raise an error of this kind and code; its text has the names and figures of `named`."""
    with pytest.raises(kind) as caught:
        yield
    assert caught.value.code == code, caught.value
    assert [name for name in named if name not in str(caught.value)] == [], caught.value
