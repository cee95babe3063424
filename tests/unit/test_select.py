"""Which boxes are posed and handed to the tracker."""

from dataclasses import replace

import numpy as np
import pytest

from edged.errors import OutsideImage
from edged.frame import Boxes, InferenceParams
from edged.inference.select import PRIOR_IOU, clip_region, low_thresholds, select_detections
from edged.tracking.tracker import LOW_SCORE_IOU
from tests.support.boxes import boxes

WIDE, SMALL_MIDDLE, NONE = [0.0, 0, 60, 60], [45.0, 45, 55, 55], Boxes.empty()
SIZE_WH = (100, 100)


def params(max_subjects: int = 9, pick: str = "score") -> InferenceParams:
    return InferenceParams(
        thresholds=np.array([0.5, np.inf], np.float32),
        max_subjects=max_subjects,
        pick=pick,  # type: ignore[arg-type]
    )


def selected(found: Boxes, priors: Boxes = NONE, max_subjects: int = 9, pick: str = "score") -> list[list[float]]:
    candidates: list[list[float]] = select_detections(found, priors, params(max_subjects, pick), SIZE_WH).xyxy.tolist()
    return candidates


@pytest.mark.parametrize("n", [0, 1], ids=["none", "one"])
def test_confident_boxes_are_candidates(n: int) -> None:
    assert selected(boxes(*[(WIDE, 0.5, 0)] * n)) == [WIDE] * n


@pytest.mark.parametrize(
    ("pick", "best"),
    [("score", [80.0, 80, 95, 95]), ("largest", WIDE), ("central", SMALL_MIDDLE)],
)
def test_one_subject_is_picked_as_configured(pick: str, best: list[float]) -> None:
    found = boxes(([80, 80, 95, 95], 0.9, 0), (SMALL_MIDDLE, 0.7, 0), (WIDE, 0.6, 0))
    assert selected(found, max_subjects=1, pick=pick) == [best]


def test_of_equal_ranks_the_first_is_selected() -> None:
    found = boxes(([0, 0, 10, 10], 0.9, 0), ([50, 50, 60, 60], 0.9, 0))
    assert selected(found, max_subjects=1) == [[0, 0, 10, 10]]


@pytest.mark.parametrize(
    ("prior", "label", "count"),
    [
        pytest.param([2.0, 2, 62, 62], 0, 1, id="near"),
        pytest.param([20.0, 0, 80, 60], 0, 1, id="IoU one half"),
        pytest.param([21.0, 0, 81, 60], 0, 0, id="IoU below one half"),
        pytest.param([2.0, 2, 62, 62], 1, 0, id="of another class"),
    ],
)
def test_low_box_is_a_candidate_only_near_a_prior_of_its_class(prior: list[float], label: int, count: int) -> None:
    assert len(selected(boxes((WIDE, 0.3, 0)), boxes((prior, 0.8, label)))) == count


def test_low_box_without_priors_is_not_a_candidate() -> None:
    assert selected(boxes((WIDE, 0.3, 0))) == []


def test_backend_never_withholds_a_low_box_that_the_tracker_would_match() -> None:
    assert PRIOR_IOU <= LOW_SCORE_IOU


@pytest.mark.parametrize(
    ("threshold", "low"),
    [(0.5, 0.25), (0.3, 0.18), (0.1, 0.1), (np.inf, np.inf)],
    ids=["half", "floor", "threshold below the floor", "class not wanted"],
)
def test_low_threshold_is_a_share_of_the_threshold_above_a_floor(threshold: float, low: float) -> None:
    assert low_thresholds(np.array([threshold], np.float32))[0] == pytest.approx(low)


@pytest.mark.parametrize("pick", ["largest", "central"])
def test_known_subject_keeps_its_place_against_a_slightly_better_one(pick: str) -> None:
    first, second = [0.0, 0, 40, 40], [55.0, 55, 97, 97]
    found = boxes((first, 0.9, 0), (second, 0.9, 0))
    assert selected(found, max_subjects=1, pick=pick) == [second]
    assert selected(found, boxes((first, 0.9, 0)), max_subjects=1, pick=pick) == [first]


def test_boxes_are_clipped_to_the_image_and_those_outside_are_dropped() -> None:
    found = boxes(([-8, -3, 60, 60], 0.9, 0), ([70, 50, 120, 130], 0.8, 0), ([102, 10, 120, 60], 0.7, 0))
    assert selected(found) == [[0, 0, 60, 60], [70, 50, 100, 100]]


def test_boxes_are_clipped_to_the_region() -> None:
    found = boxes(([-8, -3, 60, 60], 0.9, 0), ([70, 50, 120, 130], 0.8, 0), ([102, 10, 120, 60], 0.7, 0))
    region = replace(params(), roi=(10, 20, 110, 90))
    clipped = [[10, 20, 60, 60], [70, 50, 110, 90], [102, 20, 110, 60]]
    assert select_detections(found, NONE, region, (200, 200)).xyxy.tolist() == clipped


@pytest.mark.parametrize(
    ("roi", "clipped"),
    [
        (None, None),
        ((0, 0, 640, 360), (0, 0, 640, 360)),
        ((0, 140, 1280, 720), (0, 140, 640, 360)),
        ((632, 352, 700, 700), (632, 352, 640, 360)),
    ],
    ids=["none", "all", "beyond", "a corner"],
)
def test_region_is_clipped_to_the_image(
    roi: tuple[int, int, int, int] | None, clipped: tuple[int, int, int, int] | None
) -> None:
    assert clip_region(replace(params(), roi=roi), (640, 360)).roi == clipped


@pytest.mark.parametrize("roi", [(640, 0, 900, 360), (700, 400, 900, 500), (633, 0, 900, 360)])
def test_region_outside_the_image_is_an_error(roi: tuple[int, int, int, int]) -> None:
    with pytest.raises(OutsideImage):
        clip_region(replace(params(), roi=roi), (640, 360))
