"""How well frames were inferred: which subjects were detected, how accurate their keypoints are, which were lost.

A subject is detected when a box of its class overlaps it with an IoU of 0.3 or more: blur smears narrow boxes, and the
accuracy of their keypoints is measured apart. Lost are the frames between two in which it was detected that show no
subject of its class near it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edged.frame import F32, XY, FrameResult, TrackedSubject
from engines.arrays import box_iou

FOUND = 0.3  # IoU
NEAR_IOU = 0.1  # from which a box is near a subject
NEAR = 0.1  # of the box's longer side: PCK@0.1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Truth:
    """One subject of one frame."""

    number: int  # the same in every frame
    kind: str
    xyxy: F32
    keypoints: F32 | None  # (K, 3) x, y, v > 0 where it counts


Truths = Sequence[Sequence[Truth]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Play:
    """A clip gone through; result i is about frame i."""

    truth: Truths
    results: Sequence[FrameResult]


@dataclass(slots=True)
class Sums:
    """Counts over frames; the figures are ratios of them."""

    frames: int = 0
    gated: int = 0
    subjects: int = 0
    detected: int = 0
    points: int = 0
    right: int = 0
    confidence: float = 0.0
    lost: int = 0
    lost_gated: int = 0
    phantoms: int = 0  # detected, near no subject

    def figures(self) -> dict[str, float | None]:
        return {
            "detection": _ratio(self.detected, self.subjects),
            "pck": _ratio(self.right, self.points),
            "confidence": _ratio(self.confidence, self.detected),
            "gated": _ratio(self.gated, self.frames),
            "lost": self.lost,
            "lost_gated": self.lost_gated,
            "phantoms": self.phantoms,
        }


def score(plays: Sequence[Play]) -> dict[str, float | None]:
    """The figures of clips played under one condition."""
    sums = Sums()
    errors: list[float] = []  # of keypoints, in longer sides of the true box
    for play in plays:
        story: dict[int, list[str]] = defaultdict(list)
        for truths, result in zip(play.truth, play.results, strict=True):
            _frame(sums, truths, result)
            for truth in truths:
                subject = _on(truth, result.subjects)
                story[truth.number].append(_word(truth, subject, result))
                _count(sums, truth, subject, errors)
        for words in story.values():
            _gaps(sums, words)
    return {**sums.figures(), "error": _median(errors)}


def _frame(sums: Sums, truths: Sequence[Truth], result: FrameResult) -> None:
    phantoms = [one for one in result.subjects if all(_iou(one, truth) < NEAR_IOU for truth in truths)]
    sums.frames += 1
    sums.gated += bool(result.quality.degraded)
    sums.phantoms += len(phantoms)


def _count(sums: Sums, truth: Truth, subject: TrackedSubject | None, errors: list[float]) -> None:
    distance = _distances(truth, subject)
    sums.subjects += 1
    sums.points += len(distance)
    if subject is None:
        return
    errors += distance[np.isfinite(distance)].tolist()
    sums.detected += 1
    sums.confidence += subject.score
    sums.right += int((distance < NEAR).sum())


def _distances(truth: Truth, subject: TrackedSubject | None) -> F32:
    """(n,) of the keypoints that count, in longer sides of the true box; NaN where not found."""
    if truth.keypoints is None:
        return np.zeros(0, np.float32)
    counts = truth.keypoints[:, 2] > 0
    if subject is None or subject.keypoints is None:
        return np.full(int(counts.sum()), np.nan, np.float32)
    x0, y0, x1, y1 = truth.xyxy
    apart = np.linalg.norm(subject.keypoints[:, XY] - truth.keypoints[:, XY], axis=1)[counts]
    return np.asarray(apart / max(x1 - x0, y1 - y0), np.float32)


def _word(truth: Truth, subject: TrackedSubject | None, result: FrameResult) -> str:
    if subject is not None:
        return "detected"
    if result.quality.degraded:
        return "gated"
    near = any(one.label == truth.kind and _iou(one, truth) >= NEAR_IOU for one in result.subjects)
    return "misplaced" if near else "lost"


def _gaps(sums: Sums, words: list[str]) -> None:
    """Counts the lost frames between the first and the last detection."""
    if "detected" not in words:
        return
    first, last = words.index("detected"), len(words) - words[::-1].index("detected")
    between = words[first:last]
    sums.lost += sum(word not in ("detected", "misplaced") for word in between)
    sums.lost_gated += between.count("gated")


def _on(truth: Truth, subjects: Sequence[TrackedSubject]) -> TrackedSubject | None:
    """The subject that overlaps it best."""
    near = [one for one in subjects if one.label == truth.kind and _iou(one, truth) >= FOUND]
    return max(near, key=lambda one: _iou(one, truth), default=None)


def _iou(subject: TrackedSubject, truth: Truth) -> float:
    return float(box_iou(subject.xyxy[None], truth.xyxy[None])[0, 0])


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _median(values: list[float]) -> float | None:
    return float(np.median(values)) if values else None
