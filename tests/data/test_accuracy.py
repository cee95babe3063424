"""The starter pose models on annotated photographs, against the figures stated for them."""

from typing import Any

import pytest

from edged.frame import F32, U8, Boxes
from tests.support.shared_data import SHARED
from tools.evaluate.__main__ import horses, people
from tools.evaluate.photographs.__main__ import DETECTOR, POSES
from tools.evaluate.photographs.contenders import Contender, Models
from tools.evaluate.photographs.domains import Picture, domains
from tools.evaluate.photographs.score import run

DATA = SHARED / "data"

# Of the first pictures of each domain; measured, less a little for other processors.
FLOORS = (
    ("people", "person", "recall", 0.3),
    ("people", "person", "precision", 0.7),
    ("horses", "horse", "recall", 0.5),
    ("horses (Weizmann)", "horse", "recall", 0.95),
    ("gymnasts (LSP)", "person", "joints, true boxes", 0.55),
)
PICTURES = 25
SILENT, CALLED_A_HORSE = 0.85, 0.2

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not on this machine")


def test_people_are_posed_as_well_as_stated() -> None:
    for row in people(DATA / "lsp"):
        assert row.value == pytest.approx(row.stated, abs=0.01), row


def test_horses_are_posed_as_well_as_stated() -> None:
    row = horses(DATA / "horse")
    assert row.value == pytest.approx(row.stated, abs=0.01), row


class Published(Contender):
    """Without the candidates that average precision is computed from: they take more time than all the rest."""

    def candidates(self, image: U8) -> tuple[Boxes, Boxes, tuple[F32 | None, ...]]:
        return Boxes.empty(), Boxes.empty(), ()


@pytest.fixture(scope="module")
def pictures() -> dict[str, list[Picture]]:
    return domains(DATA)


@pytest.fixture(scope="module")
def figures(pictures: dict[str, list[Picture]]) -> dict[str, dict[str, Any]]:
    contender = Published(Models(*DETECTOR, POSES))
    return {name: run(contender, domain[:PICTURES]) for name, domain in pictures.items()}


@pytest.mark.parametrize(("domain", "label", "figure", "least"), FLOORS)
def test_subjects_are_found_as_well_as_stated(
    figures: dict[str, dict[str, Any]], domain: str, label: str, figure: str, least: float
) -> None:
    assert figures[domain][label][figure] >= least


def test_pictures_without_subjects_stay_silent(figures: dict[str, dict[str, Any]]) -> None:
    assert figures["nobody"]["silent"] >= SILENT
    assert figures["other animals"]["horse"]["boxed"] <= CALLED_A_HORSE


def test_average_precision_counts_subjects_that_are_not_published(pictures: dict[str, list[Picture]]) -> None:
    figures = run(Contender(Models(*DETECTOR, POSES)), pictures["people"][:4])["person"]
    assert figures["AP"]["48-96 px"] > 0.05  # of this height none is published
    assert figures["AP"]["all"] > 0.1
