"""The starter pose models on annotated photographs, against the figures stated for them."""

from pathlib import Path

import pytest

from tools.evaluate.__main__ import horses, people

DATA = Path(__file__).parents[3] / "shared/data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not on this machine")


def test_people_are_posed_as_well_as_stated() -> None:
    for row in people(DATA / "lsp"):
        assert row.value == pytest.approx(row.stated, abs=0.01), row


def test_horses_are_posed_as_well_as_stated() -> None:
    row = horses(DATA / "horse")
    assert row.value == pytest.approx(row.stated, abs=0.01), row
