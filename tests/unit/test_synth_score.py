"""The scoring of a clip: what counts, what is found, what a missed subject costs."""

from typing import Any

import numpy as np
import pytest

from engines.card.schema import SCHEMAS
from tools.evaluate.clip import matches, score

POINTS = len(SCHEMAS["lsp-14"].keypoints)


def person(x: float = 0, *, visible: float = 1.0, v: int = 2) -> dict[str, Any]:
    """A person 40 px wide and 100 high whose joints lie down the middle, 5 px apart."""
    points = [[x + 20, 5.0 * k, v] for k in range(POINTS)]
    return {"class": "person", "box": [x, 0, x + 40, 100], "visible": visible, "keypoints": {"lsp-14": points}}


def said(x: float = 0, *, off_px: float = 0.0) -> dict[str, Any]:
    points = [[x + 20 + off_px, 5.0 * k, 0.9] for k in range(POINTS)]
    return {"class": "person", "box": [x, 0, x + 40, 100], "keypoints": points}


def scored(truths: list[dict[str, Any]], subjects: list[dict[str, Any]]) -> Any:
    return score([truths], [{"subjects": subjects}], "person")


def test_what_is_found_where_it_is_scores_one() -> None:
    got = scored([person()], [said()])
    assert (got.subjects, got.recall, got.precision, got.pck["PCK@0.2 torso"]) == (1, 1, 1, 1)


def test_a_box_that_overlaps_too_little_finds_nobody() -> None:
    assert scored([person()], [said(13)]).recall == 1  # IoU 27/53
    assert scored([person()], [said(14)]).recall == 0  # IoU 26/54


def test_a_box_is_taken_once_by_whom_it_fits_best() -> None:
    near, far = matches([person(8), person(0)], [said(1)])
    assert (near.found, far.found) == (None, said(1))


def test_keypoints_of_a_missed_subject_are_wrong() -> None:
    assert scored([person(), person(200)], [said()]).pck["PCK@0.2 torso"] == 0.5


def test_a_subject_that_hardly_shows_does_not_count_nor_does_its_box_as_stray() -> None:
    got = scored([person(), person(200, visible=0.2)], [said(), said(200)])
    assert (got.subjects, got.precision) == (1, 1)


def test_a_box_where_nobody_is_costs_precision() -> None:
    assert scored([person()], [said(), said(300)]).precision == 0.5


def test_hidden_keypoints_do_not_count() -> None:
    assert np.isnan(scored([person(v=1)], [said()]).pck["PCK@0.2 torso"])


@pytest.mark.parametrize(("off_px", "share"), [(4.9, 1.0), (5.1, 0.0)])
def test_a_fifth_of_the_torso_is_the_limit(off_px: float, share: float) -> None:
    assert scored([person()], [said(off_px=off_px)]).pck["PCK@0.2 torso"] == share  # the torso is 25 px
