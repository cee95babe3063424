"""Non-maximum suppression."""

import numpy as np
import pytest

from edged.inference.decode.nms import nms
from engines.arrays import box_iou
from tests.support.boxes import boxes

A, A_SHIFTED, FAR = [0.0, 0, 10, 10], [0.0, 1, 10, 11], [50.0, 50, 60, 60]


@pytest.mark.parametrize(
    ("rows", "kept"),
    [
        pytest.param([], [], id="none"),
        pytest.param([(A, 0.5, 0)], [0.5], id="one"),
        pytest.param([(A, 0.5, 0), (A_SHIFTED, 0.9, 0), (FAR, 0.7, 0)], [0.9, 0.7], id="best first, doubles gone"),
        pytest.param([(A, 0.9, 0), (A_SHIFTED, 0.8, 1)], [0.9, 0.8], id="another class is another thing"),
        pytest.param([(A, 0.5, 0), (A, 0.5, 0)], [0.5], id="a tie keeps one"),
    ],
)
def test_duplicates_are_suppressed(rows: list[tuple[list[float], float, int]], kept: list[float]) -> None:
    assert nms(boxes(*rows), 0.6).score.tolist() == pytest.approx(kept)


def test_suppressed_box_suppresses_no_other() -> None:
    chain = boxes(([0, 0, 10, 10], 0.9, 0), ([0, 4, 10, 14], 0.8, 0), ([0, 8, 10, 18], 0.7, 0))
    assert nms(chain, 0.4).score.tolist() == pytest.approx([0.9, 0.7])


def test_boxes_that_overlap_the_best_one_of_their_class_vote_for_its_edges() -> None:
    rows = boxes((A, 0.75, 0), (A_SHIFTED, 0.25, 0), (A_SHIFTED, 0.7, 1), ([0, 6, 10, 16], 0.2, 0), (FAR, 0.1, 0))
    voted = nms(rows, 0.2, 0.5)
    np.testing.assert_allclose(voted.xyxy, [[0, 0.25, 10, 10.25], A_SHIFTED, FAR], atol=1e-6)
    assert voted.score.tolist() == nms(rows, 0.2).score.tolist()


def test_empty_box_stays_where_it_is_when_boxes_vote() -> None:
    assert nms(boxes(([3, 3, 3, 3], 0.5, 0)), 0.4, 0.5).xyxy.tolist() == [[3, 3, 3, 3]]


def test_iou_is_shared_area_over_union() -> None:
    a, b = np.array([A], np.float32), np.array([[5, 0, 15, 10], A, FAR, [3, 3, 3, 3]], np.float32)
    assert box_iou(a, b)[0].tolist() == pytest.approx([1 / 3, 1, 0, 0])
