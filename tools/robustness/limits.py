"""When keypoints become wrong: pictures made worse step by step, and what the quality limits would withhold.

A withheld frame is reported as degraded, without its detected subjects and without the claim that the others are
absent: a limit pays where more subjects are missed than detected. Still pictures, no tracks: all detections are
published. The truth is exact (rendered) or annotated by hand (photographs).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from edged.frame import SCORE, U8, XY, Boxes, Flags, Frame, InferenceParams, InferenceResult, QualityLimits
from edged.inference.load_models import LoadedModels
from engines.arrays import box_iou
from engines.card.schema import SCHEMAS
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
    """A picture and its subjects."""

    image: U8
    truth: Sequence[Truth]


class StillScore(NamedTuple):
    """What was published of one picture."""

    measure: float
    wrong: int  # published keypoints
    right: int
    found: int  # subjects
    subjects: int


def photographs(data: Path, count: int) -> Iterator[Still]:
    """`count` annotated people, and as many horses."""
    people = json.loads((data / "lsp/val_full.json").read_text())
    for name, joints in list(people.items())[:count]:
        person = _annotated("person", np.array(joints, np.float32), None)
        published = replace(person, keypoints=named_as_published(person.keypoints))
        yield Still(_read(data / "lsp/val_full" / name), [published])
    boxes = json.loads((data / "horse/boxes.json").read_text())
    paths = {path.stem: path for path in (data / "horse/images").iterdir()}
    for name, joints in list(json.loads((data / "horse/keypoints_val.json").read_text()).items())[:count]:
        points = np.array(joints, np.float32)
        points[:, 2] = points[:, 2] == 2
        yield Still(_read(paths[name]), [_annotated("horse", points, boxes[name])])


def climb(engines: LoadedModels, stills: Sequence[Still], ladder: str) -> dict[str, Any]:
    """Every rung: its measure, the share of subjects found, and the share of published keypoints that are right."""
    measure, rungs = LADDERS[ladder]
    scores = {name: [_score(engines, still, rung, measure, at) for at, still in enumerate(stills)]
            for name, rung in rungs.items()}  # fmt: skip
    return {
        "measure": measure,
        "rungs": {name: _figures(each) for name, each in scores.items()},
        "stills": [tuple(one) for each in scores.values() for one in each],
    }


def withheld(stills: Sequence[Sequence[float]], limit: float, *, below: bool) -> dict[str, int]:
    """Keypoints and subjects of the frames that a limit would withhold."""
    beyond = [StillScore(*one) for one in stills if (one[0] < limit) == below]  # type: ignore[arg-type]
    found = sum(one.found for one in beyond)
    return {
        "wrong": sum(one.wrong for one in beyond),
        "right": sum(one.right for one in beyond),
        "missed": sum(one.subjects for one in beyond) - found,
        "found": found,
    }


def _figures(scores: Sequence[StillScore]) -> dict[str, float]:
    wrong, right = sum(one.wrong for one in scores), sum(one.right for one in scores)
    return {
        "measure": float(np.median([one.measure for one in scores])),
        "found": sum(one.found for one in scores) / max(1, sum(one.subjects for one in scores)),
        "published": wrong + right,
        "right": right / max(1, wrong + right),
    }


def _score(engines: LoadedModels, still: Still, rung: Condition, measure: str, number: int) -> StillScore:
    image = rung(still.image, np.random.default_rng([12, number]))
    thresholds = [engines.detector.threshold(name) for name in engines.detector.classes]
    params = InferenceParams(
        thresholds=np.array(thresholds, np.float32), max_subjects=20, quality_limits=QualityLimits()
    )
    frame = Frame(camera="limits", seq=0, captured_ns=0, image=image)
    result = engines.backend.infer(frame, params, Boxes.empty(), detect=True)
    right, wrong, found = _counts(engines, result, still.truth)
    return StillScore(getattr(result.quality, measure), wrong, right, found, len(still.truth))


def _counts(engines: LoadedModels, result: InferenceResult, truths: Sequence[Truth]) -> tuple[int, int, int]:
    """Right and wrong published keypoints, and the number of subjects found."""
    right = wrong = 0
    found: set[int] = set()
    for row, points in enumerate(result.keypoints):
        if points is None:
            continue
        label = engines.detector.classes[result.boxes.label[row]]
        published = points[:, SCORE] >= engines.keypoint_thresholds[SCHEMA[label]]
        truth = _on(result.boxes.xyxy[row], label, truths)
        if truth is None or truth.keypoints is None:
            wrong += int(published.sum())
            continue
        found.add(truth.number)
        counts: Flags = published & (truth.keypoints[:, 2] > 0)
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
    visible = points[points[:, 2] > 0, :2]
    box = np.concatenate([visible.min(axis=0), visible.max(axis=0)]) if xyxy is None else xyxy
    return Truth(number=1, kind=kind, xyxy=np.array(box, np.float32), keypoints=points)


def named_as_published(points: Any) -> Any:
    """LSP's 14 joints, (14, 3) x, y, visible, in the places of the schema that is published; others are not visible."""
    places, joints = SCHEMAS[SCHEMA["person"]].keypoints, SCHEMAS["lsp-14"].keypoints
    by_name = dict(zip(joints, points, strict=True))
    return np.array([by_name.get(name, np.zeros(3)) for name in places], np.float32)


def _read(path: Path) -> U8:
    return np.asarray(cv2.imread(str(path)), np.uint8)
