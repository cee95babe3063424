"""Match scores and their assignment."""

from __future__ import annotations

import pytest

from edged.tracking.matching import OTHER_CLASS_PENALTY, Match, assign, grown_iou, match_score

BOX = (0.0, 0.0, 100.0, 100.0)


@pytest.mark.parametrize(
    ("left", "grow_px", "overlap"),
    [
        pytest.param(0, 0, 1.0, id="the same box"),
        pytest.param(50, 0, 1 / 3, id="half of it"),
        pytest.param(100, 0, 0.0, id="side by side"),
        pytest.param(110, 10, 10 * 120 / (2 * 120**2 - 10 * 120), id="apart, grown together"),
        pytest.param(130, 10, 0.0, id="apart, grown too little"),
    ],
)
def test_iou_is_shared_area_over_union(left: float, grow_px: float, overlap: float) -> None:
    assert grown_iou(BOX, (left, 0, left + 100, 100), grow_px) == pytest.approx(overlap)
    assert grown_iou((0, left, 100, left + 100), BOX, grow_px) == pytest.approx(overlap)


def test_empty_box_overlaps_nothing() -> None:
    assert grown_iou((5, 5, 5, 5), BOX) == 0
    assert grown_iou((5, 5, 5, 5), (5, 5, 5, 5)) == 0


@pytest.mark.parametrize(("same_class", "score"), [(True, 1.0), (False, 1 - OTHER_CLASS_PENALTY)])
def test_another_class_lowers_the_score(same_class: bool, score: float) -> None:
    assert match_score(BOX, 5, BOX, same_class=same_class) == pytest.approx(score)


@pytest.mark.parametrize(
    ("scores", "assigned"),
    [
        pytest.param([[0.9, 0.8], [0.7, 0.1]], [0, -1], id="best first, then what is left and good enough"),
        pytest.param([[0.6, 0.8], [0.7, 0.5]], [1, 0], id="crosswise"),
        pytest.param([[0.5, 0.5], [0.5, 0.5]], [0, 1], id="a tie goes to the first track and detection"),
        pytest.param([[0.1, 0.1], [0.1, 0.2]], [-1, 1], id="at the least score"),
    ],
)
def test_assignment_is_one_to_one(scores: list[list[float]], assigned: list[int]) -> None:
    out = [-1, -1]
    assign([Match(scores[t][d], t, d) for t in (0, 1) for d in (0, 1)], 0.2, out=out)
    assert out == assigned


def test_assignment_keeps_earlier_ones() -> None:
    out = [1, -1]
    assign([Match(0.9, 0, 0), Match(0.9, 1, 1), Match(0.3, 0, 1)], 0.2, out=out)
    assert out == [1, 0]


def test_without_overlap_there_is_no_match() -> None:
    out = [-1]
    assign([Match(0.0, 0, 0)], 0.0, out=out)
    assert out == [-1]
