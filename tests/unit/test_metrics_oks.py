"""OKS, AP and AR: by hand, and against pycocotools where it is installed."""

import contextlib
import io
from typing import Any

import numpy as np
import pytest

from tools.evaluate.metrics.oks import SIGMAS, Answers, Truths, evaluate, oks, sigmas

SIGMA = np.array(SIGMAS["coco-17"])
NAMES = ("ap", "ap50", "ap75", "ap_medium", "ap_large", "ar")
ROWS = (0, 1, 2, 3, 4, 5)  # of the ten figures that pycocotools prints


def _truths(count: int, images: int, seed: int) -> Truths:
    rng = np.random.default_rng(seed)
    size = np.exp(rng.uniform(2.5, 6, (count, 1))) * [1, 1.6]
    low = rng.uniform(0, 300, (count, 2))
    v = rng.integers(0, 3, (count, 17)) * (rng.random((count, 1)) > 0.2)
    xy = low[:, None] + rng.random((count, 17, 2)) * size[:, None]
    return Truths(
        image=rng.integers(0, images, count),
        xyv=np.concatenate([xy * (v > 0)[..., None], v[..., None]], axis=-1),
        box_xywh=np.concatenate([low, size], axis=1),
        area_px=0.6 * size.prod(axis=1),
        crowd=rng.random(count) < 0.15,
    )


def _answers(truths: Truths, seed: int) -> Answers:
    """Two of every subject, more or less near, and some of nothing."""
    rng = np.random.default_rng(seed)
    twice = np.tile(np.arange(len(truths.image)), 2)
    stray = 0.05 * np.sqrt(truths.area_px[twice])[:, None, None] * rng.exponential(1, (len(twice), 1, 1))
    xy = truths.xyv[twice, :, :2] + stray * rng.normal(size=(len(twice), 17, 2))
    void = rng.uniform(0, 400, (10, 17, 2))
    image = np.concatenate([truths.image[twice], rng.integers(0, truths.image.max() + 1, 10)])
    return Answers(image=image, xy=np.concatenate([xy, void]), score=rng.integers(1, 30, len(twice) + 10) / 30)


def _as_coco(truths: Truths) -> dict[str, Any]:
    annotations = [
        {
            "id": i + 1,
            "image_id": int(truths.image[i]),
            "category_id": 1,
            "iscrowd": int(truths.crowd[i]),
            "area": float(truths.area_px[i]),
            "bbox": truths.box_xywh[i].tolist(),
            "keypoints": truths.xyv[i].ravel().tolist(),
            "num_keypoints": int((truths.xyv[i, :, 2] > 0).sum()),
        }
        for i in range(len(truths.image))
    ]
    images = [{"id": int(i)} for i in range(int(truths.image.max()) + 1)]
    return {"info": {}, "images": images, "annotations": annotations, "categories": [{"id": 1, "name": "subject"}]}


def _by_pycocotools(truths: Truths, answers: Answers, sigma: Any) -> list[float]:
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    with contextlib.redirect_stdout(io.StringIO()):
        index = coco.COCO()
        index.dataset = _as_coco(truths)
        index.createIndex()
        said = [
            {
                "image_id": int(i),
                "category_id": 1,
                "score": float(s),
                "keypoints": np.insert(xy, 2, 1, 1).ravel().tolist(),
            }
            for i, xy, s in zip(answers.image, answers.xy, answers.score, strict=True)
        ]
        judge = cocoeval.COCOeval(index, index.loadRes(said), "keypoints")
        judge.params.kpt_oks_sigmas = np.array(sigma)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return [float(judge.stats[row]) for row in ROWS]


@pytest.mark.parametrize("schema", ["coco-17", "ap10k-17"])
@pytest.mark.parametrize("seed", range(4))
def test_every_figure_is_that_of_pycocotools(schema: str, seed: int) -> None:
    truths = _truths(60, 6, seed)
    answers, sigma = _answers(truths, seed + 100), np.array(SIGMAS[schema])
    ours = evaluate(truths, answers, sigma)
    assert [getattr(ours, name) for name in NAMES] == pytest.approx(_by_pycocotools(truths, answers, sigma), abs=1e-9)
    assert 0.05 < ours.ap < 0.95


def _one(**changed: Any) -> Truths:
    xyv = np.concatenate([np.arange(34.0).reshape(17, 2) * 3, np.full((17, 1), 2.0)], axis=1)
    box = np.array([[0.0, 0, 100, 100]])
    fields: dict[str, Any] = {"image": np.zeros(1, int), "xyv": xyv[None], "box_xywh": box, "crowd": np.zeros(1, bool)}
    return Truths(**{**fields, "area_px": np.full(1, 5000.0), **changed})


def _said(truths: Truths, *, off_px: float = 0.0, times: int = 1) -> Answers:
    xy = np.repeat(truths.xyv[:1, :, :2] + [off_px, 0], times, axis=0)
    return Answers(image=np.zeros(times, int), xy=xy, score=np.linspace(1, 0.5, times))


def test_a_keypoint_two_sigmas_of_the_root_area_away_is_e_to_the_minus_half() -> None:
    xyv = np.array([[10.0, 10.0, 2.0]])
    assert oks(np.array([[[12.0, 10.0]]]), xyv, np.zeros(4), 100.0, np.array([0.1]))[0] == pytest.approx(np.exp(-0.5))


def test_the_truth_itself_is_perfect() -> None:
    assert evaluate(_one(), _said(_one()), SIGMA)[:3] == pytest.approx((1, 1, 1))


def test_a_second_answer_on_the_same_subject_is_wrong_but_comes_too_late_to_cost() -> None:
    assert evaluate(_one(), _said(_one(), times=2), SIGMA).ap == pytest.approx(1)


def test_any_number_of_answers_fit_a_crowd() -> None:
    crowd = _one(crowd=np.ones(1, bool))
    both = Truths(**{n: np.concatenate([getattr(_one(), n), getattr(crowd, n)]) for n in Truths.__dataclass_fields__})
    assert evaluate(both, _said(_one(), times=5), SIGMA).ap == pytest.approx(1)


def test_where_all_subjects_are_ignored_there_is_no_figure() -> None:
    assert np.isnan(evaluate(_one(crowd=np.ones(1, bool)), _said(_one()), SIGMA).ap)


def test_without_an_answer_everything_is_zero() -> None:
    nothing = Answers(image=np.zeros(0, int), xy=np.zeros((0, 17, 2)), score=np.zeros(0))
    assert evaluate(_one(), nothing, SIGMA)[:3] == (0, 0, 0)


def test_sigmas_go_by_name() -> None:
    assert sigmas("coco-17", ("right_ankle", "nose")).tolist() == [0.089, 0.026]
    assert sigmas("ap10k-17", ("nose", "left_elbow")).tolist() == [0.026, 0.072]
