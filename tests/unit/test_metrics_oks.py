"""AP and AR of cases small enough to be known by hand."""

from typing import Any

import numpy as np
import pytest

from tools.metrics.oks import SIGMAS, GroundTruth, Predictions, evaluate, sigmas

SIGMA = np.array(SIGMAS["coco-17"])


def _one(**changed: Any) -> GroundTruth:
    xyv = np.concatenate([np.arange(34.0).reshape(17, 2) * 3, np.full((17, 1), 2.0)], axis=1)
    box = np.array([[0.0, 0, 100, 100]])
    fields: dict[str, Any] = {"image": np.zeros(1, int), "xyv": xyv[None], "box_xywh": box, "crowd": np.zeros(1, bool)}
    return GroundTruth(**{**fields, "area_px": np.full(1, 5000.0), **changed})


def _said(truths: GroundTruth, *, off_px: float = 0.0, times: int = 1) -> Predictions:
    xy = np.repeat(truths.xyv[:1, :, :2] + [off_px, 0], times, axis=0)
    return Predictions(image=np.zeros(times, int), xy=xy, score=np.linspace(1, 0.5, times))


def test_answer_off_by_known_oks_is_found_up_to_that_threshold() -> None:
    off_px = 0.1 * 2 * np.sqrt(5000 * 2 * -np.log(0.72))  # exp(-d² / 2 area (2 sigma)²) = 0.72, between 0.70 and 0.75
    sigma = np.full(17, 0.1)
    found = evaluate(_one(), _said(_one(), off_px=off_px), sigma)
    assert found[:3] == pytest.approx((0.5, 1, 0))  # 5 of 10 thresholds


def test_perfect_answer_has_ap_1() -> None:
    assert evaluate(_one(), _said(_one()), SIGMA)[:3] == pytest.approx((1, 1, 1))


def test_duplicate_answer_of_lower_rank_does_not_lower_ap() -> None:
    assert evaluate(_one(), _said(_one(), times=2), SIGMA).ap == pytest.approx(1)


def test_crowd_matches_any_number_of_answers() -> None:
    crowd = _one(crowd=np.ones(1, bool))
    both = GroundTruth(
        **{n: np.concatenate([getattr(_one(), n), getattr(crowd, n)]) for n in GroundTruth.__dataclass_fields__}
    )
    assert evaluate(both, _said(_one(), times=5), SIGMA).ap == pytest.approx(1)


def test_ap_is_nan_when_all_subjects_are_ignored() -> None:
    assert np.isnan(evaluate(_one(crowd=np.ones(1, bool)), _said(_one()), SIGMA).ap)


def test_ap_is_zero_without_answers() -> None:
    nothing = Predictions(image=np.zeros(0, int), xy=np.zeros((0, 17, 2)), score=np.zeros(0))
    assert evaluate(_one(), nothing, SIGMA)[:3] == (0, 0, 0)


def test_sigmas_follow_the_keypoint_names() -> None:
    assert sigmas("coco-17", ("right_ankle", "nose")).tolist() == [0.089, 0.026]
    assert sigmas("ap10k-17", ("nose", "left_elbow")).tolist() == [0.026, 0.072]
