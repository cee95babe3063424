"""`python -m tools.evaluate.photographs.fit DATA`: the weights of a pose card's `[pose.subject]`, and what they gain.

Prints for each class the fitted weights, and precision, recall and silence by threshold, of the detection alone and of
the subject's score.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edged.frame import F64, I64, SCORE, Flags
from edged.tracking.subject_score import logit
from tools.evaluate.photographs.__main__ import DETECTOR, POSES
from tools.evaluate.photographs.contenders import Contender, Models
from tools.evaluate.photographs.domains import Picture, domains
from tools.evaluate.photographs.score import MIN_HEIGHT_PX, counts_as_false, matched
from tools.metrics.logistic import fit_logistic

THRESHOLDS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)


@dataclass(frozen=True, slots=True)
class Candidates:
    """The boxes of one class in complete pictures, from 48 px of height on."""

    detection: F64  # (N,) the detector's score
    keypoints: F64  # (N,) mean keypoint score
    right: Flags  # (N,)
    picture: I64  # (N,)
    subjects: int
    empty: I64  # pictures without such a subject


def candidates(contender: Contender, pictures: Sequence[Picture], label: str) -> Candidates:
    """Return what the detector finds; boxes in ignored regions and around small subjects do not count."""
    rows: list[tuple[float, float, bool, int]] = []
    subjects, empty = 0, []
    at = contender.backend.classes.index(label)
    for number, picture in enumerate(pictures):
        if label not in picture.complete:
            continue
        truths = np.array([subject.box for subject in picture.of(label)], np.float32).reshape(-1, 4)
        tall = truths[:, 3] - truths[:, 1] >= MIN_HEIGHT_PX
        subjects += int(tall.sum())
        if not len(truths):
            empty.append(number)
        boxes, _, keypoints = contender.candidates(picture.read())
        mine = [row for row in range(len(boxes)) if boxes.label[row] == at]
        found = {box: truth for truth, box in matched(boxes.xyxy[mine], truths).items()}
        for place, row in enumerate(mine):
            points = keypoints[row]
            right = place in found and bool(tall[found[place]])
            if points is not None and (
                right or (place not in found and counts_as_false(boxes.xyxy[row], picture.ignored))
            ):
                rows.append((float(boxes.score[row]), float(points[:, SCORE].mean()), right, number))
    detection, mean, right_, picture_ = zip(*rows, strict=True)
    return Candidates(
        np.array(detection), np.array(mean), np.array(right_), np.array(picture_), subjects, np.array(empty, np.int64)
    )


def evidence(found: Candidates) -> F64:
    """Return what the weights of a card apply to: (N, 3) logit of detection, logit of keypoints, and one."""
    return np.column_stack([logit(found.detection), logit(found.keypoints), np.ones(len(found.right))])


def _table(found: Candidates, score: F64) -> None:
    order = np.argsort(-score)
    right = found.right[order]
    behind = (np.cumsum(right)[~right]).sum() / max(1, right.sum() * (~right).sum())
    print(f"  area under the curve {behind:.3f}")
    for threshold in THRESHOLDS:
        shown = score >= threshold
        silent = ~np.isin(found.empty, found.picture[shown])
        hits = int(found.right[shown].sum())
        print(
            f"  {threshold:.2f}  recall {hits / found.subjects:.3f}  precision {hits / max(1, int(shown.sum())):.3f}"
            f"  without one: silent {silent.mean():.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.evaluate.photographs.fit", description=__doc__)
    parser.add_argument("data", type=Path)
    args = parser.parse_args()
    sets = domains(args.data)
    pictures = [
        *{id(one): one for name in ("people", "horses", "nobody", "other animals") for one in sets[name]}.values()
    ]
    contender = Contender(Models(*DETECTOR, POSES))
    for label in POSES:
        found = candidates(contender, pictures, label)
        x = evidence(found)
        detection, keypoints, offset = weights = fit_logistic(x, found.right)
        print(f"{label}: detection = {detection:.3f}, keypoints = {keypoints:.3f}, offset = {offset:.3f}")
        print(" detection alone")
        _table(found, found.detection)
        print(" subject's score")
        _table(found, 1 / (1 + np.exp(-x @ weights)))


if __name__ == "__main__":
    main()
