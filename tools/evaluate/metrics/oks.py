"""Object keypoint similarity, and the average precision and recall that COCO and AP-10K state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from edged.frame import F64, I64, Flags
from engines.card.schema import SCHEMAS

SIGMAS = {  # of a schema's keypoints: how far annotators differ, in square roots of the subject's area
    "coco-17": (
        *(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062),
        *(0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
    ),
    "ap10k-17": (
        *(0.025, 0.025, 0.026, 0.035, 0.035, 0.079, 0.072, 0.062, 0.079, 0.072, 0.062),
        *(0.107, 0.087, 0.089, 0.107, 0.087, 0.089),
    ),
}
THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
MOST = 20  # answers per image that count, best first
AREAS_PX = {"all": (0.0, 1e10), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
EPS = float(np.spacing(1))


def sigmas(schema: str, joints: tuple[str, ...]) -> F64:
    """(K,) of some of a schema's keypoints, by name."""
    of = dict(zip(SCHEMAS[schema].keypoints, SIGMAS[schema], strict=True))
    return np.array([of[joint] for joint in joints])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Truths:
    """Annotated subjects, all images together."""

    image: I64  # (G,)
    xyv: F64  # (G, K, 3) x, y in px; v 0 when the keypoint is not labelled
    box_xywh: F64  # (G, 4)
    area_px: F64  # (G,)
    crowd: Flags  # (G,) a region with many subjects


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """What a model says, all images together."""

    image: I64  # (D,)
    xy: F64  # (D, K, 2) px
    score: F64  # (D,)


class Summary(NamedTuple):
    """NaN where no subject counts."""

    ap: float
    ap50: float
    ap75: float
    ap_medium: float
    ap_large: float
    ar: float


def oks(xy: F64, xyv: F64, box_xywh: F64, area_px: float, sigma: F64) -> F64:
    """(D,) similarity of answers (D, K, 2) to one subject (K, 3).

    OKS = mean over k with v_k > 0 of exp(-d_k² / (2 · area · (2 σ_k)²))

    Of a subject without a labelled keypoint, d is how far a keypoint lies outside its box grown by its own size to
    every side, and the mean is over all keypoints.
    """
    labelled = xyv[:, 2] > 0
    if labelled.any():
        off = (xy - xyv[:, :2])[:, labelled]
        sigma = sigma[labelled]
    else:
        low, size = box_xywh[:2], box_xywh[2:]
        off = np.maximum(0, low - size - xy) + np.maximum(0, xy - (low + 2 * size))
    exponent = (off**2).sum(axis=-1) / (2 * sigma) ** 2 / (area_px + EPS) / 2
    return np.asarray(np.exp(-exponent).mean(axis=-1))


def evaluate(truths: Truths, answers: Answers, sigma: F64) -> Summary:
    """AP over OKS 0.50:0.05:0.95, at 0.50 and at 0.75, by area; AR over the same thresholds.

    In every image answers take subjects best score first, each the most similar one that is free and no less similar
    than the threshold. Crowds and subjects without a labelled keypoint are ignored: an answer on one is neither right
    nor wrong, and any number fit a crowd. With an area range, subjects outside are ignored too, and so are answers
    outside that match nothing. Precision is made monotone from the right and read at 101 recalls.
    Source: the protocol of cocodataset.org, as pycocotools 2 carries it out.
    """
    pairs = list(_pairs(truths, answers, sigma))
    precision, recall = zip(*(_curves(truths, pairs, AREAS_PX[name]) for name in AREAS_PX), strict=True)
    whole = precision[0]
    at75 = int(np.argmin(abs(THRESHOLDS - 0.75)))
    return Summary(*map(_mean, (whole, whole[:1], whole[at75 : at75 + 1], precision[1], precision[2], recall[0])))


class _Pairs(NamedTuple):
    """One image: its subjects, its best answers, and how similar they are."""

    truths: I64  # (g,) rows
    score: F64  # (d,) best first
    size_px: F64  # (d,) area of the box around the keypoints
    similar: F64  # (d, g)


def _pairs(truths: Truths, answers: Answers, sigma: F64) -> Iterator[_Pairs]:
    for image in np.union1d(truths.image, answers.image):
        mine = np.flatnonzero(truths.image == image)
        said = np.flatnonzero(answers.image == image)
        said = said[np.argsort(-answers.score[said], kind="stable")][:MOST]
        xy = answers.xy[said]
        columns = [oks(xy, truths.xyv[g], truths.box_xywh[g], truths.area_px[g], sigma) for g in mine]
        similar = np.stack(columns, axis=1) if columns else np.zeros((len(said), 0))
        yield _Pairs(mine, answers.score[said], np.ptp(xy, axis=1).prod(axis=-1), similar)


def _curves(truths: Truths, pairs: list[_Pairs], area_px: tuple[float, float]) -> tuple[F64, F64]:
    """(T, R) precision at each recall, and (T,) the recall reached; empty when no subject counts."""
    outside = (truths.area_px < area_px[0]) | (truths.area_px > area_px[1])
    ignored = truths.crowd | ~(truths.xyv[..., 2] > 0).any(axis=1) | outside
    if ignored.all():
        return np.zeros((0, len(RECALLS))), np.zeros(0)
    score = np.concatenate([one.score for one in pairs])
    order = np.argsort(-score, kind="stable")
    outcomes = [_outcomes(one, ignored, truths.crowd, area_px) for one in pairs]
    right, wrong = (np.concatenate(part, axis=1)[:, order] for part in zip(*outcomes, strict=True))
    rows = [_row(r, w, int((~ignored).sum())) for r, w in zip(right, wrong, strict=True)]
    return np.array([row[0] for row in rows]), np.array([row[1] for row in rows])


def _outcomes(one: _Pairs, ignored: Flags, crowd: Flags, area_px: tuple[float, float]) -> tuple[Flags, Flags]:
    """(T, d) answers that are right, and those that are wrong."""
    order = np.argsort(ignored[one.truths], kind="stable")  # those that count first
    mine = one.truths[order]
    outside = (one.size_px < area_px[0]) | (one.size_px > area_px[1])
    found = np.array([_matched(one.similar[:, order], t, ignored[mine], crowd[mine]) for t in THRESHOLDS])
    hit = found >= 0
    on_ignored = np.where(hit, np.append(ignored[mine], False)[found], outside)
    return hit & ~on_ignored, ~hit & ~on_ignored


def _matched(similar: F64, threshold: float, ignored: Flags, crowd: Flags) -> I64:
    """(d,) the subject that each answer takes, -1 for none."""
    free = np.ones(similar.shape[1], bool)
    found = np.full(len(similar), -1)
    for d, row in enumerate(similar):
        open_ = (free | crowd) & (row >= min(threshold, 1 - 1e-10))
        among = open_ & ~ignored if (open_ & ~ignored).any() else open_
        if among.any():
            best = np.flatnonzero(among)
            found[d] = best[row[best] == row[best].max()][-1]  # a tie goes to the last
            free[found[d]] = False
    return found


def _row(right: Flags, wrong: Flags, subjects: int) -> tuple[F64, float]:
    hits, misses = np.cumsum(right), np.cumsum(wrong)
    if not len(hits):
        return np.zeros(len(RECALLS)), 0.0
    recall, precision = hits / subjects, hits / (hits + misses + EPS)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, RECALLS, side="left")
    return np.append(best, 0.0)[np.minimum(at, len(best))], float(recall[-1])


def _mean(values: F64) -> float:
    return float(values.mean()) if values.size else float("nan")
