"""Accuracy of the whole pipeline on a rendered clip: `edged infer` on the file, compared with the truth of every frame.

A subject counts when at least 30 % of its pixels are visible. It is found when a box of its class has an IoU of 0.5 or
more with it; each box is matched once. Keypoints count when they are visible; those of subjects that were not
found are wrong. People: PCK@0.2 of the torso (right shoulder to left hip, LSP; hidden ends count, as rendering gives
their position). Horses: PCK@0.1 of the box's longer side, as on photographs, and PCK@0.2 of the torso (neck to root of
the tail).
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edged.frame import F64, XY
from engines.arrays import box_iou
from engines.card.schema import SCHEMAS
from tools.metrics.pck import pck, torso

MIN_VISIBLE = 0.3  # share of a subject's pixels that must be visible for it to count
MIN_IOU = 0.5  # IoU from which a box matches a subject
SCHEMA = {"horse": "ap10k-17", "person": "coco-17"}
TORSO = {"horse": ("neck", "root_of_tail"), "person": ("right_shoulder", "left_hip")}
LIMIT_S = 600


class Pair(NamedTuple):
    """A subject of one frame, and the detection that matches it."""

    truth: dict[str, Any]
    found: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The accuracy of one class on a clip."""

    kind: str
    subjects: int
    recall: float  # share of the subjects that were found
    precision: float  # share of the boxes that match a subject, however little of it is visible
    pck: dict[str, float]

    def line(self) -> str:
        figures = {f"recall at IoU {MIN_IOU}": self.recall, "precision": self.precision, **self.pck}
        return f"{self.kind:8}{self.subjects:5}  " + "  ".join(f"{name} {value:.3f}" for name, value in figures.items())


def infer(clip: Path, *options: str) -> list[dict[str, Any]]:
    """Return the `poses` message of every frame, as `edged` publishes it."""
    command = [sys.executable, "-m", "edged", "infer", "--jsonl", *options, str(clip)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT_S)
    return [json.loads(line) for line in done.stdout.splitlines()]


def read_truth(clip: Path) -> list[list[dict[str, Any]]]:
    """Return the subjects of every frame from CLIP.json.gz, as `tools.synth` writes it."""
    document = json.loads(gzip.decompress(clip.with_suffix(".json.gz").read_bytes()))
    frames: list[list[dict[str, Any]]] = document["frames"]
    return frames


def score(frames: Sequence[Sequence[dict[str, Any]]], messages: Sequence[dict[str, Any]], kind: str) -> Score:
    """Return the accuracy of one class over the frames; message i belongs to frame i."""
    pairs: list[Pair] = []
    boxes = 0
    stray = 0
    for truths, message in zip(frames, messages, strict=True):
        mine = [t for t in truths if t["class"] == kind]
        detected = [s for s in message["subjects"] if s["class"] == kind]
        matched = matches(mine, detected)
        boxes, stray = boxes + len(detected), stray + len(detected) - sum(pair.found is not None for pair in matched)
        pairs += [pair for pair in matched if pair.truth["visible"] >= MIN_VISIBLE]
    found = sum(pair.found is not None for pair in pairs)
    precision = 1 - stray / boxes if boxes else float("nan")
    return Score(
        kind=kind, subjects=len(pairs), recall=found / max(len(pairs), 1), precision=precision, pck=_pck(pairs, kind)
    )


def matches(truths: Sequence[dict[str, Any]], detected: Sequence[dict[str, Any]]) -> list[Pair]:
    """Return every subject with its detection, matched greedily by IoU; each detection is used once."""
    overlaps = sorted(
        ((overlap(t, s), i, j) for i, t in enumerate(truths) for j, s in enumerate(detected)), reverse=True
    )
    box_of: dict[int, int] = {}
    for iou, i, j in overlaps:
        if iou >= MIN_IOU and i not in box_of and j not in box_of.values():
            box_of[i] = j
    return [Pair(truth, detected[box_of[i]] if i in box_of else None) for i, truth in enumerate(truths)]


def overlap(truth: dict[str, Any], detected: dict[str, Any]) -> float:
    """Return the IoU of the boxes of two subjects."""
    return float(box_iou(*(np.array([one["box"]], np.float32) for one in (truth, detected)))[0, 0])


def _pck(pairs: Sequence[Pair], kind: str) -> dict[str, float]:
    if not pairs:
        return {}
    names = SCHEMAS[SCHEMA[kind]].keypoints
    truth = np.array([pair.truth["keypoints"][SCHEMA[kind]] for pair in pairs], np.float64)
    found = np.array([_points(pair, len(names)) for pair in pairs])
    visible = truth[..., 2] == 2
    ends = (names.index(TORSO[kind][0]), names.index(TORSO[kind][1]))
    length_px, whole = torso(truth[..., XY], truth[..., 2] > 0, ends)
    out = {"PCK@0.2 torso": pck(found, truth[..., XY], visible & whole, length_px, 0.2)}
    if kind == "horse":
        boxes = np.array([pair.truth["box"] for pair in pairs])
        side_px = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
        out["PCK@0.1 box side"] = pck(found, truth[..., XY], visible, side_px, 0.1)
    return out


def _points(pair: Pair, count: int) -> F64:
    """Return the detected keypoints (K, 2), px; NaN where none was detected, or the box has no pose."""
    if pair.found is None or not pair.found["keypoints"]:
        return np.full((count, 2), np.nan)
    return np.array([[np.nan if v is None else v for v in point[:2]] for point in pair.found["keypoints"]], np.float64)


def report(clip: Path, *options: str) -> list[Score]:
    """Return the accuracy of both classes on a clip with its truth."""
    frames, messages = read_truth(clip), infer(clip, *options)
    return [score(frames, messages, kind) for kind in SCHEMA]
