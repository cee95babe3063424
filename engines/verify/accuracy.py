"""How far a model's outputs are from the FP32 reference, in the terms of its task. Pure numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from engines.arrays import F32, box_iou
from engines.card import Card, Detect, Lift, Root, Tolerance
from engines.card.schema import SCHEMAS

TIE = 2.0**-10  # a bin lower than the peak by less of it is the same peak: FP16 has ten bits
NEAR_THRESHOLD = 0.8  # of the threshold: a box this much fainter still answers one of the reference


class DecodedBoxes(Protocol):
    """What a detector's decoder returns: corners (N, 4) in net px, scores (N,), numbers of classes (N,)."""

    @property
    def xyxy(self) -> F32: ...
    @property
    def score(self) -> F32: ...
    @property
    def label(self) -> NDArray[np.int64]: ...


DecodeBoxes = Callable[
    [Sequence[F32], tuple[int, ...], F32], DecodedBoxes
]  # one image's outputs, strides, threshold per class
DecodeVolume = Callable[[F32, int], F32]  # (N, J·D, H, W) activations, J; (N, J, 3) x, y, z in bins
Decode = DecodeBoxes | DecodeVolume  # of a detector's family, or of a 3D model's


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyDiff:
    """The worst of everything compared; None where the task has no such thing, or nothing was found to compare."""

    max_shift_px: float | None = None  # of a keypoint that is sure, or of a root, in px of the net's input
    max_shift_mm: float | None = None  # of a joint in space, where the crop is as large as a person is
    max_depth_diff: float | None = None  # of a root, as a share of its depth
    argmax_agreement: float | None = None  # share of sure keypoints in the very same bins
    min_iou: float | None = None  # of a box with its counterpart
    max_score_diff: float = 0.0
    unmatched: int = 0  # boxes of the reference without counterpart
    nan: int = 0  # values that are not finite
    compared: int = 0  # keypoints or boxes

    def __add__(self, other: AccuracyDiff) -> AccuracyDiff:
        """The worse of two; agreement by the number compared."""
        count = self.compared + other.compared
        return AccuracyDiff(
            max_shift_px=_worse(max, self.max_shift_px, other.max_shift_px),
            max_shift_mm=_worse(max, self.max_shift_mm, other.max_shift_mm),
            max_depth_diff=_worse(max, self.max_depth_diff, other.max_depth_diff),
            argmax_agreement=_mean(self, other),
            min_iou=_worse(min, self.min_iou, other.min_iou),
            max_score_diff=max(self.max_score_diff, other.max_score_diff),
            unmatched=self.unmatched + other.unmatched,
            nan=self.nan + other.nan,
            compared=count,
        )

    def violations(self, limit: Tolerance) -> list[str]:
        """What is out of tolerance; empty when all is well."""
        checks = (
            (self.nan > 0, f"{self.nan} values are NaN or infinite"),
            (self.compared == 0, "nothing was found in the golden input to compare"),
            (self.unmatched > 0, f"{self.unmatched} of the reference's boxes are missing"),
            (
                (self.max_shift_px or 0) > limit.shift_px,
                f"a keypoint moved {self.max_shift_px} px, {limit.shift_px} allowed",
            ),
            (
                (self.max_shift_mm or 0) > limit.shift_mm,
                f"a joint moved {self.max_shift_mm} mm, {limit.shift_mm} allowed",
            ),
            (
                (self.max_depth_diff or 0) > limit.depth,
                f"a depth changed by {self.max_depth_diff} of itself, {limit.depth} allowed",
            ),
            ((self.min_iou or 1) < limit.iou, f"a box overlaps its reference by {self.min_iou}, {limit.iou} wanted"),
            (self.max_score_diff > limit.score, f"a score changed by {self.max_score_diff:.3f}, {limit.score} allowed"),
        )
        return [text for wrong, text in checks if wrong]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def accuracy_diff(card: Card, decode: Decode | None, reference: Sequence[F32], outputs: Sequence[F32]) -> AccuracyDiff:
    """Compare one image's outputs, in the order of the model; `decode` is for detectors and 3D models.

    Raises ValueError without it.
    """
    nan = sum(int(np.count_nonzero(~np.isfinite(output.astype(np.float32)))) for output in outputs)
    if nan:
        return AccuracyDiff(nan=nan)
    if card.pose is not None:
        return _pose_diff(reference, outputs, card.pose.split, card.pose.score)
    if card.root is not None:
        return _root_diff(reference, outputs, card.input.size_wh, card.root)
    if decode is None:
        raise ValueError(f"model {card.name}: want the decoder of its outputs")
    if card.lift is not None:
        return _lift_diff(reference[0], outputs[0], cast(DecodeVolume, decode), card.lift)
    assert card.detect is not None  # noqa: S101  # the only task that is left
    return _detector_diff(reference, outputs, cast(DecodeBoxes, decode), card.detect)


def _detector_diff(
    reference: Sequence[F32], outputs: Sequence[F32], decode: DecodeBoxes, detect: Detect
) -> AccuracyDiff:
    limits = np.full(len(detect.classes), detect.score, np.float32)
    wanted = decode([output[0] for output in reference], detect.strides, limits)
    found = decode(
        [output[0].astype(np.float32) for output in outputs], detect.strides, limits * np.float32(NEAR_THRESHOLD)
    )
    return _box_diff(wanted, found)


def _pose_diff(reference: Sequence[F32], outputs: Sequence[F32], split: float, min_score: float) -> AccuracyDiff:
    """SimCC: where the peaks are, and how high. Of two peaks that FP16 cannot tell apart either will do."""
    peaks = [np.stack([axis[0].argmax(axis=1) for axis in pair]) for pair in (reference, outputs)]
    tied = np.stack([_are_one(was[0], found[0]) for was, found in zip(reference, outputs, strict=True)])
    scores = [np.minimum(*(axis[0].max(axis=1).astype(np.float32) for axis in pair)) for pair in (reference, outputs)]
    sure = scores[0] >= min_score
    if not sure.any():
        return AccuracyDiff(max_score_diff=float(np.abs(scores[0] - scores[1]).max()))
    apart = np.where(tied, 0, np.abs(peaks[0] - peaks[1]))[:, sure]
    return AccuracyDiff(
        max_shift_px=round(float(np.hypot(*apart).max()) / split, 2),
        argmax_agreement=round(float((apart == 0).all(axis=0).mean()), 4),
        max_score_diff=round(float(np.abs(scores[0] - scores[1])[sure].max()), 4),
        compared=int(sure.sum()),
    )


def _are_one(bins: F32, found: F32) -> NDArray[np.bool_]:
    """Whether both peaks of each row are as high to FP16's precision; twice that where `found` has them alike."""
    rows, highest = np.arange(len(bins)), bins.max(axis=1)
    alike = found[rows, bins.argmax(axis=1)] == found.max(axis=1)  # either was rounded, up or down
    lower = highest - bins[rows, found.argmax(axis=1)]
    return np.asarray(lower <= np.where(alike, 2 * TIE, TIE) * np.abs(highest))


def _lift_diff(reference: F32, output: F32, places: DecodeVolume, lift: Lift) -> AccuracyDiff:
    """A volume: where the joints are. `span_mm` lies across it along every axis, for k is the depth where it does."""
    joints = len(SCHEMAS[lift.schema_name])
    bins = np.array([output.shape[3], output.shape[2], lift.depth], np.float32)  # x, y, z
    apart = (places(output, joints) - places(reference, joints)) * (lift.span_mm / bins)
    return AccuracyDiff(max_shift_mm=round(float(np.linalg.norm(apart, axis=2).max()), 3), compared=joints)


def _root_diff(reference: Sequence[F32], outputs: Sequence[F32], size_wh: tuple[int, int], root: Root) -> AccuracyDiff:
    """RootNet: where the root is, and its depth over k."""
    (xy, gamma), (xy_found, gamma_found) = reference, outputs
    apart = (xy_found - xy) * (np.array(size_wh, np.float32) / root.cells)
    return AccuracyDiff(
        max_shift_px=round(float(np.linalg.norm(apart, axis=1).max()), 3),
        max_depth_diff=round(float(np.abs(gamma_found / gamma - 1).max()), 5),
        compared=1,
    )


def _box_diff(reference: DecodedBoxes, found: DecodedBoxes) -> AccuracyDiff:
    """Every box of the reference against the best of its class."""
    overlaps, differences, unmatched = [], [], 0
    for box, score, label in zip(reference.xyxy, reference.score, reference.label, strict=True):
        fits = np.where(found.label == label, box_iou(box[None], found.xyxy)[0], 0.0)
        if not len(fits) or fits.max() < 0.5:
            unmatched += 1
            continue
        near = fits >= fits.max() - 1e-3  # neighbours of one subject overlap alike: the closest in score is meant
        overlaps.append(float(fits.max()))
        differences.append(float(np.abs(found.score[near] - score).min()))
    return AccuracyDiff(
        min_iou=round(min(overlaps), 4) if overlaps else None,
        max_score_diff=round(max(differences, default=0.0), 4),
        unmatched=unmatched,
        compared=len(reference.score),
    )


def _worse(pick: Callable[..., float], a: float | None, b: float | None) -> float | None:
    both = [value for value in (a, b) if value is not None]
    return pick(both) if both else None


def _mean(a: AccuracyDiff, b: AccuracyDiff) -> float | None:
    known = [d for d in (a, b) if d.argmax_agreement is not None]
    count = sum(d.compared for d in known)
    return round(sum((d.argmax_agreement or 0) * d.compared for d in known) / count, 4) if count else None
