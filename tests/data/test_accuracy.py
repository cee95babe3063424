"""The starter pose models on annotated photographs, against the figures stated for them."""

from typing import Any

import pytest

from tests.support.shared_data import SHARED
from tools.evaluate.__main__ import horses, people
from tools.evaluate.photographs.__main__ import DETECTOR, POSES
from tools.evaluate.photographs.contenders import Contender, Models
from tools.evaluate.photographs.domains import domains
from tools.evaluate.photographs.score import run

DATA = SHARED / "data"

# Of the first pictures of each domain; measured, less a little for other processors.
FLOORS = (
    ("people", "person", "recall", 0.3),
    ("people", "person", "precision", 0.7),
    ("horses", "horse", "recall", 0.45),
    ("horses (Weizmann)", "horse", "recall", 0.95),
    ("gymnasts (LSP)", "person", "joints, true boxes", 0.55),
)
PICTURES = 25
SILENT, CALLED_A_HORSE = 0.85, 0.3

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not on this machine")


def test_people_are_posed_as_well_as_stated() -> None:
    for row in people(DATA / "lsp"):
        assert row.value == pytest.approx(row.stated, abs=0.01), row


def test_horses_are_posed_as_well_as_stated() -> None:
    row = horses(DATA / "horse")
    assert row.value == pytest.approx(row.stated, abs=0.01), row


@pytest.fixture(scope="module")
def figures() -> dict[str, dict[str, Any]]:
    contender = Contender(Models(*DETECTOR, POSES))
    return {name: run(contender, pictures[:PICTURES]) for name, pictures in domains(DATA).items()}


@pytest.mark.parametrize(("domain", "label", "figure", "least"), FLOORS)
def test_subjects_are_found_as_well_as_stated(
    figures: dict[str, dict[str, Any]], domain: str, label: str, figure: str, least: float
) -> None:
    assert figures[domain][label][figure] >= least


def test_pictures_without_subjects_stay_silent(figures: dict[str, dict[str, Any]]) -> None:
    assert figures["nobody"]["silent"] >= SILENT
    assert figures["other animals"]["horse"]["boxed"] <= CALLED_A_HORSE
