"""Which boxes are worth a pose."""

from dataclasses import replace

import numpy as np
import pytest

from edged.config.tables.camera import QualityConfig
from edged.errors import OutsideImage
from edged.frame import Boxes, InferenceParams
from edged.inference.select import clip_region, low_thresholds, select_detections
from edged.pipeline import quality_limits
from tests.unit.test_nms import boxes

WIDE, SMALL_MIDDLE, NOBODY = [0.0, 0, 60, 60], [45.0, 45, 55, 55], Boxes.empty()


def focus(limit: int, pick: str = "score") -> InferenceParams:
    thresholds = np.array([0.5, np.inf], np.float32)
    return InferenceParams(
        thresholds=thresholds,
        max_subjects=limit,
        quality_limits=quality_limits(QualityConfig()),
        pick=pick,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("pick", "score"),
    [pytest.param("score", 0.9), pytest.param("largest", 0.6), pytest.param("central", 0.7)],
)
def test_one_subject_is_picked_as_asked(pick: str, score: float) -> None:
    found = boxes(([80, 80, 95, 95], 0.9, 0), (SMALL_MIDDLE, 0.7, 0), (WIDE, 0.6, 0))
    assert select_detections(found, NOBODY, focus(1, pick), (100, 100)).score.tolist() == pytest.approx([score])


def test_a_faint_box_counts_only_where_its_subject_is_expected() -> None:
    found = boxes((WIDE, 0.3, 0), (SMALL_MIDDLE, 0.3, 0))
    known = boxes(([2, 2, 62, 62], 0.8, 0))
    assert select_detections(found, known, focus(9), (100, 100)).xyxy.tolist() == [WIDE]
    assert len(select_detections(found, NOBODY, focus(9), (100, 100))) == 0


def test_of_two_faint_boxes_on_one_subject_the_better_fitting_counts() -> None:
    found = boxes(([0, 0, 60, 90], 0.4, 0), (WIDE, 0.3, 0))
    assert select_detections(found, boxes(([2, 2, 62, 62], 0.8, 0)), focus(9), (100, 100)).xyxy.tolist() == [WIDE]


def test_what_is_hardly_there_is_not_believed_even_of_a_known_subject() -> None:
    known = boxes(([2, 2, 62, 62], 0.8, 0))
    least = replace(focus(9), thresholds=np.array([0.2, np.inf], np.float32))
    assert len(select_detections(boxes((WIDE, 0.17, 0)), known, least, (100, 100))) == 0
    assert len(select_detections(boxes((WIDE, 0.19, 0)), known, least, (100, 100))) == 1


def test_a_faint_box_of_another_class_is_not_the_subject() -> None:
    assert len(select_detections(boxes((WIDE, 0.3, 1)), boxes((WIDE, 0.8, 0)), focus(9), (100, 100))) == 0


def test_a_known_subject_is_not_dropped_for_one_slightly_larger() -> None:
    found = boxes(([0, 0, 40, 40], 0.9, 0), ([50, 50, 92, 92], 0.9, 0))
    assert select_detections(found, boxes(([0, 0, 40, 40], 0.9, 0)), focus(1, "largest"), (100, 100)).xyxy[0, 0] == 0
    assert select_detections(found, NOBODY, focus(1, "largest"), (100, 100)).xyxy[0, 0] == 50


def test_boxes_end_where_the_scene_does() -> None:
    found = boxes(([-8, -3, 60, 60], 0.9, 0), ([70, 50, 120, 130], 0.8, 0), ([102, 10, 120, 60], 0.7, 0))
    assert select_detections(found, NOBODY, focus(9), (100, 100)).xyxy.tolist() == [[0, 0, 60, 60], [70, 50, 100, 100]]
    part = replace(focus(9), roi=(10, 20, 110, 90))
    assert select_detections(found, NOBODY, part, (200, 200)).xyxy.tolist() == [
        [10, 20, 60, 60],
        [70, 50, 110, 90],
        [102, 20, 110, 60],
    ]


AT, FAR = [20.0, 20, 60, 60], [70.0, 20, 90, 60]


def seeing(found: Boxes, known: Boxes, limit: int = 9) -> list[list[float]]:
    return [
        row[:2] for row in select_detections(found, known, replace(focus(limit), bridge=True), (100, 100)).xyxy.tolist()
    ]


def test_a_hint_shows_the_known_subject_that_nothing_else_shows() -> None:
    known = boxes((AT, 0.8, 0))
    assert seeing(boxes((AT, 0.2, 0), (FAR, 0.2, 0)), known) == [AT[:2]]
    assert seeing(boxes((AT, 0.2, 0), (FAR, 0.2, 0)), NOBODY) == []
    assert seeing(boxes(([22, 22, 62, 62], 0.9, 0), (AT, 0.2, 0)), known) == [[22, 22]]


def test_of_two_hints_the_nearer_one_counts() -> None:
    near, nearer = [30.0, 20, 70, 60], [24.0, 20, 64, 60]
    assert seeing(boxes((near, 0.24, 0), (nearer, 0.16, 0)), boxes((AT, 0.8, 0))) == [nearer[:2]]


def test_a_hint_of_another_class_is_none() -> None:
    found = boxes((AT, 0.2, 0))
    assert seeing(found, boxes((AT, 0.8, 1))) == []


def test_a_hint_takes_no_place_from_the_seen() -> None:
    assert seeing(boxes((FAR, 0.9, 0), (AT, 0.2, 0)), boxes((AT, 0.8, 0)), limit=1) == [FAR[:2]]


def test_who_reaches_the_end_of_the_picture_is_no_hint() -> None:
    leaving = [60.0, 20, 100, 60]
    assert seeing(boxes((leaving, 0.2, 0)), boxes((leaving, 0.8, 0))) == []


def test_only_a_bridge_asks_for_hints() -> None:
    assert low_thresholds(focus(1))[0] == pytest.approx(0.25)
    assert low_thresholds(replace(focus(1), bridge=True))[0] == pytest.approx(0.1)


def test_who_is_expected_at_the_end_of_the_picture_may_have_left() -> None:
    assert seeing(boxes(([55.0, 20, 95, 60], 0.2, 0)), boxes(([60.0, 20, 100, 60], 0.8, 0))) == []


@pytest.mark.parametrize(
    ("roi", "left"),
    [
        (None, None),
        ((0, 0, 640, 360), (0, 0, 640, 360)),
        ((0, 140, 1280, 720), (0, 140, 640, 360)),
        ((632, 352, 700, 700), (632, 352, 640, 360)),
    ],
    ids=["none", "all", "beyond", "a corner"],
)
def test_a_region_ends_where_the_image_does(
    roi: tuple[int, int, int, int] | None, left: tuple[int, int, int, int] | None
) -> None:
    assert clip_region(replace(focus(9), roi=roi), (640, 360)).roi == left


@pytest.mark.parametrize("roi", [(640, 0, 900, 360), (700, 400, 900, 500), (633, 0, 900, 360)])
def test_a_region_that_is_not_in_the_image_is_told(roi: tuple[int, int, int, int]) -> None:
    with pytest.raises(OutsideImage, match=r"roi = \[.*\] lies outside the image of 640 x 360 px; correct it"):
        clip_region(replace(focus(9), roi=roi), (640, 360))
