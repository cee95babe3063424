"""Errors by their code, so that their text can be reworded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from edged.errors import EdgedError


@contextmanager
def raises_code(kind: type[EdgedError], code: str) -> Iterator[None]:
    """The block must raise an error of this kind and code."""
    with pytest.raises(kind) as caught:
        yield
    assert caught.value.code == code, caught.value
