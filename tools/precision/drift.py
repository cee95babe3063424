"""How far a prepared model is from FP32, on photographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from edged.frame import F32
from edged.inference.cpu.onnxruntime import OnnxRunner
from edged.inference.decode import ALL_DECODERS
from engines.card import Card, Tolerance
from engines.verify.accuracy import AccuracyDiff, accuracy_diff

Outputs = list[list[F32]]  # of each input


@dataclass(frozen=True, slots=True)
class Drift:
    """Of the pictures on which there is something to compare."""

    shift_p95_px: float  # of keypoints, the 95th percentile over pictures of the largest in each
    iou_mean: float
    score_mean: float
    shift_p95_mm: float = 0.0  # of joints in space, likewise
    depth_p95: float = 0.0  # of roots, as a share of their depth, likewise

    def __str__(self) -> str:
        image = f"shift p95 {self.shift_p95_px:.1f} px, IoU {self.iou_mean:.3f}, score {self.score_mean:.3f}"
        return f"{image}, joints p95 {self.shift_p95_mm:.2f} mm, depth p95 {100 * self.depth_p95:.2f} %"

    def is_within(self, tolerance: Tolerance) -> bool:
        """Whether keypoints, joints and depths are."""
        found = self.shift_p95_px, self.shift_p95_mm, self.depth_p95
        allowed = tolerance.shift_px, tolerance.shift_mm, tolerance.depth
        return all(value <= limit for value, limit in zip(found, allowed, strict=True))


def outputs(model: bytes, inputs: Sequence[F32]) -> Outputs:
    runner = OnnxRunner(model)
    return [[np.array(output) for output in runner.run(tensor)] for tensor in inputs]


def drift(card: Card, reference: Outputs, found: Outputs) -> Drift:
    """Return the distance in the terms of the task."""
    decode = ALL_DECODERS.get(card.family)
    diffs = [accuracy_diff(card, decode, *pair) for pair in zip(reference, found, strict=True)]
    seen = [diff for diff in diffs if diff.compared]
    return Drift(
        shift_p95_px=_p95([diff.max_shift_px or 0.0 for diff in seen]),
        iou_mean=fmean(_iou(diff) for diff in seen) if seen else 1.0,
        score_mean=fmean(diff.max_score_diff for diff in seen) if seen else 0.0,
        shift_p95_mm=_p95([diff.max_shift_mm or 0.0 for diff in seen]),
        depth_p95=_p95([diff.max_depth_diff or 0.0 for diff in seen]),
    )


def _p95(values: Sequence[float]) -> float:
    return float(np.percentile(values, 95)) if values else 0.0


def _iou(diff: AccuracyDiff) -> float:
    return 1.0 if diff.min_iou is None else diff.min_iou


def distance(reference: Outputs, found: Outputs) -> float:
    """Return the mean difference of all outputs, as a share of their mean magnitude: smooth, for a ranking."""
    pairs = [pair for outs in zip(reference, found, strict=True) for pair in zip(*outs, strict=True)]
    return fmean(float(np.abs(a - b).mean() / (np.abs(a).mean() + 1e-9)) for a, b in pairs)
