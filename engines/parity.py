"""How far a model's outputs are from the FP32 reference, in the terms of its task. Pure numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engines.card import Card, Tolerance

F32 = NDArray[np.float32]
NEAR = 0.8  # of the threshold: a box this much fainter still answers one of the reference


class Boxes(Protocol):
    """What a detector's decoder returns."""

    @property
    def xyxy(self) -> F32: ...
    @property
    def score(self) -> F32: ...
    @property
    def label(self) -> NDArray[np.int64]: ...


Decode = Callable[[Sequence[F32], tuple[int, ...], F32], Boxes]  # one image's outputs, strides, threshold per class


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """The worst of everything compared; None where the task has no such thing, or nothing was found to compare."""

    max_shift_px: float | None = None  # of a keypoint that is sure, in px of the net's input
    argmax_agreement: float | None = None  # share of sure keypoints in the very same bins
    min_iou: float | None = None  # of a box with its counterpart
    max_score_diff: float = 0.0
    unmatched: int = 0  # boxes of the reference without counterpart
    nan: int = 0  # values that are not finite
    compared: int = 0  # keypoints or boxes

    def __add__(self, other: Drift) -> Drift:
        """The worse of two; agreement by the number compared."""
        count = self.compared + other.compared
        return Drift(
            max_shift_px=_worse(max, self.max_shift_px, other.max_shift_px),
            argmax_agreement=_mean(self, other),
            min_iou=_worse(min, self.min_iou, other.min_iou),
            max_score_diff=max(self.max_score_diff, other.max_score_diff),
            unmatched=self.unmatched + other.unmatched,
            nan=self.nan + other.nan,
            compared=count,
        )

    def faults(self, limit: Tolerance) -> list[str]:
        """What is out of tolerance; empty when all is well."""
        checks = (
            (self.nan > 0, f"{self.nan} values are NaN or infinite"),
            (self.compared == 0, "nothing was found in the golden input to compare"),
            (self.unmatched > 0, f"{self.unmatched} of the reference's boxes are missing"),
            (
                (self.max_shift_px or 0) > limit.shift_px,
                f"a keypoint moved {self.max_shift_px} px, {limit.shift_px} allowed",
            ),
            ((self.min_iou or 1) < limit.iou, f"a box overlaps its reference by {self.min_iou}, {limit.iou} wanted"),
            (self.max_score_diff > limit.score, f"a score changed by {self.max_score_diff:.3f}, {limit.score} allowed"),
        )
        return [text for wrong, text in checks if wrong]

    def table(self) -> dict[str, Any]:
        return asdict(self)


def drift(card: Card, decode: Decode | None, reference: Sequence[F32], outputs: Sequence[F32]) -> Drift:
    """Compare one image's outputs, in the order of the model; `decode` is for detectors."""
    nan = sum(int(np.count_nonzero(~np.isfinite(output.astype(np.float32)))) for output in outputs)
    if nan:
        return Drift(nan=nan)
    if card.pose is not None:
        return _of_pose(reference, outputs, card.pose.split, card.pose.score)
    if card.detect is None or decode is None:
        raise ValueError(f"model {card.name}: want the decoder of a detector's outputs")
    limits = np.full(len(card.detect.classes), card.detect.score, np.float32)
    wanted = decode([output[0] for output in reference], card.detect.strides, limits)
    found = decode([output[0].astype(np.float32) for output in outputs], card.detect.strides, limits * np.float32(NEAR))
    return _of_boxes(wanted, found)


def _of_pose(reference: Sequence[F32], outputs: Sequence[F32], split: float, sure_from: float) -> Drift:
    """SimCC: where the peaks are, and how high."""
    peaks = [np.stack([axis[0].argmax(axis=1) for axis in pair]) for pair in (reference, outputs)]
    scores = [np.minimum(*(axis[0].max(axis=1).astype(np.float32) for axis in pair)) for pair in (reference, outputs)]
    sure = scores[0] >= sure_from
    if not sure.any():
        return Drift(max_score_diff=float(np.abs(scores[0] - scores[1]).max()))
    apart = np.abs(peaks[0] - peaks[1])[:, sure]
    return Drift(
        max_shift_px=round(float(np.hypot(*apart).max()) / split, 2),
        argmax_agreement=round(float((apart == 0).all(axis=0).mean()), 4),
        max_score_diff=round(float(np.abs(scores[0] - scores[1])[sure].max()), 4),
        compared=int(sure.sum()),
    )


def _of_boxes(wanted: Boxes, found: Boxes) -> Drift:
    """Every box of the reference against the best of its class."""
    overlaps, differences, unmatched = [], [], 0
    for box, score, label in zip(wanted.xyxy, wanted.score, wanted.label, strict=True):
        fits = np.where(found.label == label, _iou(box, found.xyxy), 0.0)
        if not len(fits) or fits.max() < 0.5:
            unmatched += 1
            continue
        near = fits >= fits.max() - 1e-3  # neighbours of one subject overlap alike: the closest in score is meant
        overlaps.append(float(fits.max()))
        differences.append(float(np.abs(found.score[near] - score).min()))
    return Drift(
        min_iou=round(min(overlaps), 4) if overlaps else None,
        max_score_diff=round(max(differences, default=0.0), 4),
        unmatched=unmatched,
        compared=len(wanted.score),
    )


def _iou(box: F32, others: F32) -> NDArray[np.float64]:
    """Of one box with (N, 4) others."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1, dtype=np.float64)
    areas = np.clip(others[:, 2:] - others[:, :2], 0, None).prod(axis=1, dtype=np.float64)
    total = float((box[2:] - box[:2]).clip(min=0).prod()) + areas - shared
    overlap: NDArray[np.float64] = shared / np.maximum(total, 1e-9)
    return overlap


def _worse(pick: Callable[..., float], a: float | None, b: float | None) -> float | None:
    both = [value for value in (a, b) if value is not None]
    return pick(both) if both else None


def _mean(a: Drift, b: Drift) -> float | None:
    known = [d for d in (a, b) if d.argmax_agreement is not None]
    count = sum(d.compared for d in known)
    return round(sum((d.argmax_agreement or 0) * d.compared for d in known) / count, 4) if count else None
