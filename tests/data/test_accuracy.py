"""The starter pose models on annotated photographs, against the figures stated for them."""

import pytest

from tests.support.shared_data import SHARED
from tools.evaluate import detector
from tools.evaluate.__main__ import horses, people

DATA = SHARED / "data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not on this machine")


def test_people_are_posed_as_well_as_stated() -> None:
    for row in people(DATA / "lsp"):
        assert row.value == pytest.approx(row.stated, abs=0.01), row


def test_horses_are_posed_as_well_as_stated() -> None:
    row = horses(DATA / "horse")
    assert row.value == pytest.approx(row.stated, abs=0.01), row


@pytest.fixture(scope="module")
def find() -> detector.DetectFunction:
    return detector.make_detector()


def test_gymnasts_are_found_and_at_most_two_are_taken_for_a_horse(find: detector.DetectFunction) -> None:
    found, horse_boxes = detector.lsp_rows(DATA / "lsp", find)
    assert found.hits >= 96
    assert horse_boxes.hits <= 2


def test_horses_are_found_and_at_most_one_is_taken_for_a_person(find: detector.DetectFunction) -> None:
    found, person_boxes = detector.weizmann_rows(DATA / "horse", find)
    assert found.hits >= 284
    assert person_boxes.hits <= 1


def test_people_in_ordinary_photographs_are_found_and_none_is_taken_for_a_horse(find: detector.DetectFunction) -> None:
    found, horse_boxes = detector.coco_rows(DATA / "media", find)
    assert found.hits >= 12
    assert horse_boxes.hits == 0
