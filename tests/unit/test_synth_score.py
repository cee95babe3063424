"""The score of a clip: recall, precision and PCK, with missed and ignored subjects."""

from typing import Any

import numpy as np
import pytest

from engines.card.schema import SCHEMAS
from tools.evaluate.clip import matches, score

POINTS = len(SCHEMAS["coco-17"].keypoints)


def person(x: float = 0, *, visible: float = 1.0, v: int = 2) -> dict[str, Any]:
    """A person 40 px wide and 100 high whose joints lie down the middle, 5 px apart."""
    points = [[x + 20, 5.0 * k, v] for k in range(POINTS)]
    return {"class": "person", "box": [x, 0, x + 40, 100], "visible": visible, "keypoints": {"coco-17": points}}


def found_subject(x: float = 0, *, off_px: float = 0.0) -> dict[str, Any]:
    points = [[x + 20 + off_px, 5.0 * k, 0.9] for k in range(POINTS)]
    return {"class": "person", "box": [x, 0, x + 40, 100], "keypoints": points}


def scored(truths: list[dict[str, Any]], subjects: list[dict[str, Any]]) -> Any:
    return score([truths], [{"subjects": subjects}], "person")


def test_exact_detection_scores_1() -> None:
    got = scored([person()], [found_subject()])
    assert (got.subjects, got.recall, got.precision, got.pck["PCK@0.2 torso"]) == (1, 1, 1, 1)


def test_box_with_iou_below_half_matches_no_subject() -> None:
    assert scored([person()], [found_subject(13)]).recall == 1  # IoU 27/53
    assert scored([person()], [found_subject(14)]).recall == 0  # IoU 26/54


def test_box_is_matched_once_to_the_best_fitting_subject() -> None:
    near, far = matches([person(8), person(0)], [found_subject(1)])
    assert (near.found, far.found) == (None, found_subject(1))


def test_keypoints_of_a_missed_subject_count_as_incorrect() -> None:
    assert scored([person(), person(200)], [found_subject()]).pck["PCK@0.2 torso"] == 0.5


def test_barely_visible_subject_and_its_box_are_ignored() -> None:
    got = scored([person(), person(200, visible=0.2)], [found_subject(), found_subject(200)])
    assert (got.subjects, got.precision) == (1, 1)


def test_false_positive_lowers_precision() -> None:
    assert scored([person()], [found_subject(), found_subject(300)]).precision == 0.5


def test_hidden_keypoints_do_not_count() -> None:
    assert np.isnan(scored([person(v=1)], [found_subject()]).pck["PCK@0.2 torso"])


@pytest.mark.parametrize(("off_px", "share"), [(4.9, 1.0), (5.1, 0.0)])
def test_pck_limit_is_a_fifth_of_the_torso(off_px: float, share: float) -> None:
    assert scored([person()], [found_subject(off_px=off_px)]).pck["PCK@0.2 torso"] == share  # the torso is 25 px
