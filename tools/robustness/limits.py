"""From when on keypoints are wrong: pictures made worse step by step, and what the gate's limits would withhold.

A frame withheld says "cannot see" in place of what was seen in it, and of "nobody" for who was missed: a limit pays
where more subjects are missed than seen. Still pictures, no tracks: what is detected is published. Truth is exact
(rendered) or annotated by hand (photographs).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from edged.frame import SCORE, U8, XY, Boxes, Flags, Frame, InferenceParams, InferenceResult, QualityLimits
from edged.inference.load_models import LoadedModels
from engines.arrays import box_iou
from tools.robustness.clips import SCHEMA
from tools.robustness.conditions import Condition, defocused, light, moved
from tools.robustness.score import FOUND, NEAR, Truth

LADDERS: Mapping[str, tuple[str, Mapping[str, Condition]]] = {
    "darkness": (
        "brightness",
        {f"{100 * gain:g} % of light": light(gain, 6) for gain in (0.12, 0.06, 0.03, 0.015)},
    ),
    "glare": ("brightness", {f"{gain:g} times the light": light(gain) for gain in (2.2, 4, 8, 16)}),
    "motion": ("sharpness", {f"up to {100 * far:g} % of the width": moved(far) for far in (0.03, 0.06, 0.12, 0.24)}),
    "defocus": ("sharpness", {f"{100 * far:g} % of the width": defocused(far) for far in (0.005, 0.01, 0.02, 0.04)}),
}


class Still(NamedTuple):
    """A picture and who is in it."""

    image: U8
    truth: Sequence[Truth]


class Seen(NamedTuple):
    """What was published of one picture."""

    measure: float
    wrong: int  # keypoints of a score that counts
    right: int
    found: int
    subjects: int


def photographs(data: Path, count: int) -> Iterator[Still]:
    """Annotated people and horses, so many of each."""
    people = json.loads((data / "lsp/val_full.json").read_text())
    for name, joints in list(people.items())[:count]:
        points = np.array(joints, np.float32)
        yield Still(_read(data / "lsp/val_full" / name), [_annotated("person", points, None)])
    boxes = json.loads((data / "horse/boxes.json").read_text())
    paths = {path.stem: path for path in (data / "horse/images").iterdir()}
    for name, joints in list(json.loads((data / "horse/keypoints_val.json").read_text()).items())[:count]:
        points = np.array(joints, np.float32)
        points[:, 2] = points[:, 2] == 2
        yield Still(_read(paths[name]), [_annotated("horse", points, boxes[name])])


def climb(engines: LoadedModels, stills: Sequence[Still], ladder: str) -> dict[str, Any]:
    """Every rung: the measure, how many are found, and how much of what is published is right."""
    measure, rungs = LADDERS[ladder]
    seen = {name: [_seen(engines, still, rung, measure, at) for at, still in enumerate(stills)]
            for name, rung in rungs.items()}  # fmt: skip
    return {
        "measure": measure,
        "rungs": {name: _figures(each) for name, each in seen.items()},
        "seen": [tuple(one) for each in seen.values() for one in each],
    }


def withheld(seen: Sequence[Sequence[float]], limit: float, *, below: bool) -> dict[str, int]:
    """Keypoints and subjects of the frames that a limit would not let through."""
    kept_back = [Seen(*one) for one in seen if (one[0] < limit) == below]  # type: ignore[arg-type]
    found = sum(one.found for one in kept_back)
    return {
        "wrong": sum(one.wrong for one in kept_back),
        "right": sum(one.right for one in kept_back),
        "missed": sum(one.subjects for one in kept_back) - found,
        "found": found,
    }


def _figures(seen: Sequence[Seen]) -> dict[str, float]:
    wrong, right = sum(one.wrong for one in seen), sum(one.right for one in seen)
    return {
        "measure": float(np.median([one.measure for one in seen])),
        "found": sum(one.found for one in seen) / max(1, sum(one.subjects for one in seen)),
        "published": wrong + right,
        "right": right / max(1, wrong + right),
    }


def _seen(engines: LoadedModels, still: Still, rung: Condition, measure: str, number: int) -> Seen:
    image = rung(still.image, np.random.default_rng([12, number]))
    scores = [engines.detector.threshold(name) for name in engines.detector.classes]
    params = InferenceParams(thresholds=np.array(scores, np.float32), max_subjects=20, quality_limits=QualityLimits())
    frame = Frame(camera="limits", seq=0, captured_ns=0, image=image)
    result = engines.backend.infer(frame, params, Boxes.empty(), detect=True)
    right, wrong, found = _judged(engines, result, still.truth)
    return Seen(getattr(result.quality, measure), wrong, right, found, len(still.truth))


def _judged(engines: LoadedModels, result: InferenceResult, truths: Sequence[Truth]) -> tuple[int, int, int]:
    """Right and wrong keypoints among those that count as seen, and how many of the truths are found."""
    right = wrong = 0
    found: set[int] = set()
    for row, points in enumerate(result.keypoints):
        if points is None:
            continue
        label = engines.detector.classes[result.boxes.label[row]]
        sure = points[:, SCORE] >= engines.keypoint_thresholds[SCHEMA[label]]
        truth = _on(result.boxes.xyxy[row], label, truths)
        if truth is None or truth.keypoints is None:
            wrong += int(sure.sum())
            continue
        found.add(truth.number)
        counts: Flags = sure & (truth.keypoints[:, 2] > 0)
        x0, y0, x1, y1 = truth.xyxy
        near = np.linalg.norm(points[:, XY] - truth.keypoints[:, XY], axis=1) < NEAR * max(x1 - x0, y1 - y0)
        right += int((near & counts).sum())
        wrong += int((~near & counts).sum())
    return right, wrong, len(found)


def _on(xyxy: Any, label: str, truths: Sequence[Truth]) -> Truth | None:
    near = {float(box_iou(xyxy[None], truth.xyxy[None])[0, 0]): truth for truth in truths if truth.kind == label}
    best = max(near, default=0.0)
    return near[best] if best >= FOUND else None


def _annotated(kind: str, points: Any, xyxy: Any) -> Truth:
    """Without a box of its own, that of its visible keypoints."""
    seen = points[points[:, 2] > 0, :2]
    box = np.concatenate([seen.min(axis=0), seen.max(axis=0)]) if xyxy is None else xyxy
    return Truth(number=1, kind=kind, xyxy=np.array(box, np.float32), keypoints=points)


def _read(path: Path) -> U8:
    return np.asarray(cv2.imread(str(path)), np.uint8)
