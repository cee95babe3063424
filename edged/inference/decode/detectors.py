"""Detector families: raw outputs to `Boxes` in net pixels, before non-maximum suppression.

Each decoder takes one image's outputs in the card's order, the card's strides, and the least score of each class
(C,) in [0, 1], inf for a class that is not wanted. Rows below are not decoded. Any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from edged.errors import ModelFault
from edged.frame import F32, I64, Boxes

NON_FINITE = "non-finite-output"  # code of the error
MAX_OUTPUT = 65504.0  # the largest FP16, at which too large values saturate
Decoder = Callable[[Sequence[F32], tuple[int, ...], F32], Boxes]


def sigmoid(x: F32) -> F32:
    """1 / (1 + e^-x), float32, without overflow for large negative x."""
    y: F32 = np.exp(-np.logaddexp(np.float32(0), -x)).astype(np.float32)
    return y


def logit(p: F32) -> F32:
    """The inverse of `sigmoid`, float32: -inf at 0, +inf at 1 and above (a class that is not wanted)."""
    with np.errstate(divide="ignore"):
        x: F32 = np.where(p < 1, np.log(np.clip(p, 0, 1)) - np.log1p(-np.clip(p, 0, 1)), np.inf).astype(np.float32)
    return x


def check_finite(name: str, outputs: Sequence[F32]) -> None:
    """Raises `ModelFault` for NaN, infinity, or where FP16 ends: no output of a sound model comes near it.

    Comparisons would turn NaN into "no detection", and weights that have gone wrong give scores of 1e38.
    """
    for i, output in enumerate(outputs):
        with np.errstate(invalid="ignore"):
            low, high = output.min(initial=0.0), output.max(initial=0.0)
        if not (low > -MAX_OUTPUT and high < MAX_OUTPUT):  # false for NaN, too
            bad = int(np.count_nonzero(~(np.abs(output) < MAX_OUTPUT)))
            raise ModelFault(
                f"model {name}: output {i} holds {bad} values of {output.size} that are NaN, infinite "
                f"or not within ±{MAX_OUTPUT:.0f}; frame given up: export the model anew",
                code=NON_FINITE,
            )


def _best_classes(scores: F32, thresholds: F32) -> tuple[I64, I64]:
    """Rows (R,) of (C, N) scores whose best class passes its threshold, and that class (R,); int64.

    The best class is chosen among all classes, wanted or not: a horse that looks more like a cow is a cow.
    """
    label = scores.argmax(axis=0)
    best = scores[label, np.arange(scores.shape[1])]
    rows = np.flatnonzero(best >= thresholds[label])
    return rows, label[rows]


def rtmdet(outputs: Sequence[F32], strides: tuple[int, ...], thresholds: F32) -> Boxes:
    """RTMDet raw heads: per stride logits (C, h, w), then per stride distances l, t, r, b (4, h, w) in net pixels.

    Priors sit at the cell corner (offset 0). Source: MMDetection RTMDetHead.
    """
    limits, found = logit(thresholds), []
    for stride, logits, distances in zip(strides, outputs[: len(strides)], outputs[len(strides) :], strict=True):
        width = logits.shape[2]
        flat = logits.reshape(len(logits), -1)
        rows, label = _best_classes(flat, limits)
        prior = np.stack((rows % width, rows // width), axis=1).astype(np.float32) * stride
        ltrb = distances.reshape(4, -1)[:, rows].T
        xyxy = np.concatenate((prior - ltrb[:, :2], prior + ltrb[:, 2:]), axis=1)
        found.append(Boxes(xyxy=xyxy, score=sigmoid(flat[label, rows]), label=label))
    return _concatenate(found)


def rtmdet_end2end(outputs: Sequence[F32], strides: tuple[int, ...], thresholds: F32) -> Boxes:
    """MMDeploy exports with NMS inside: dets (n, 5) x0 y0 x1 y1 score, labels (n,). Padding rows score 0."""
    dets, label = outputs[0], outputs[1].astype(np.int64)
    keep = (dets[:, 4] > 0) & (dets[:, 4] >= thresholds[label])
    return Boxes(xyxy=dets[keep, :4], score=dets[keep, 4], label=label[keep])


def boxes(outputs: Sequence[F32], strides: tuple[int, ...], thresholds: F32) -> Boxes:
    """Decoded candidates (N, 4) x0 y0 x1 y1 and class scores (N, C): an end-to-end model cut before its NMS."""
    scores = outputs[1].T
    rows, label = _best_classes(scores, thresholds)
    return Boxes(xyxy=outputs[0][rows], score=scores[label, rows], label=label)


def yolox(outputs: Sequence[F32], strides: tuple[int, ...], thresholds: F32) -> Boxes:
    """YOLOX raw head (N, 5 + C): centre and size in stride units, objectness and class scores after sigmoid.

    N runs over the strides in order, row-major. Raises `ModelFault` for infinite boxes.
    Source: YOLOX demo_utils.demo_postprocess.
    """
    raw = outputs[0]
    scores = (raw[:, 4:5] * raw[:, 5:]).T
    rows, label = _best_classes(scores, thresholds)
    grid, stride = _grid(len(raw), strides)
    xy = (raw[rows, :2] + grid[rows]) * stride[rows]
    with np.errstate(over="ignore"):
        half = np.exp(raw[rows, 2:4]) * stride[rows] / 2
    if not np.isfinite(half).all():
        raise ModelFault("yolox: a box is infinitely large; frame given up: export the model anew", code=NON_FINITE)
    return Boxes(xyxy=np.concatenate((xy - half, xy + half), axis=1), score=scores[label, rows], label=label)


def yolov8(outputs: Sequence[F32], strides: tuple[int, ...], thresholds: F32) -> Boxes:
    """YOLOv8 and YOLO11 (4 + C, N): centre, size in net pixels, then class scores after sigmoid."""
    raw = outputs[0]
    rows, label = _best_classes(raw[4:], thresholds)
    xy, half = raw[:2, rows].T, raw[2:4, rows].T / 2
    return Boxes(xyxy=np.concatenate((xy - half, xy + half), axis=1), score=raw[4 + label, rows], label=label)


def _grid(anchors: int, strides: tuple[int, ...]) -> tuple[F32, F32]:
    """Cell corners (N, 2) in stride units and strides (N, 1), float32, of a square net with that many anchors."""
    side = round((anchors / sum((strides[0] / s) ** 2 for s in strides)) ** 0.5)  # cells of the finest level
    corners, steps = [], []
    for stride in strides:
        n = side * strides[0] // stride
        ys, xs = np.divmod(np.arange(n * n), n)
        corners.append(np.stack((xs, ys), axis=1))
        steps.append(np.full((n * n, 1), stride))
    return np.concatenate(corners).astype(np.float32), np.concatenate(steps).astype(np.float32)


def _concatenate(parts: Sequence[Boxes]) -> Boxes:
    return Boxes(
        xyxy=np.concatenate([p.xyxy for p in parts]),
        score=np.concatenate([p.score for p in parts]),
        label=np.concatenate([p.label for p in parts]),
    )


class DetectorFamily(NamedTuple):
    """What differs between families."""

    decode: Decoder
    gives_logits: bool = False  # in its class outputs, else scores
    has_kernel: bool = True  # of the same name: the CUDA backend decodes it


FAMILIES = {
    "rtmdet": DetectorFamily(rtmdet, gives_logits=True),
    "rtmdet-end2end": DetectorFamily(rtmdet_end2end, has_kernel=False),
    "yolox": DetectorFamily(yolox),
    "yolov8": DetectorFamily(yolov8),
    "boxes": DetectorFamily(boxes),
}
