"""The predictions of a model, appended to a file subject by subject, so that an interrupted run can continue.

A file belongs to one model file and one prepared dataset; any other is replaced. An incomplete last line is dropped.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from edged.frame import F64, U8
from tools.evaluate.benchmark.estimators import Estimate, SubjectInput
from tools.evaluate.benchmark.models import Model
from tools.evaluate.benchmark.prepared import PreparedDataset

Progress = Callable[[int, int], None]  # done, of


class Predictions(NamedTuple):
    """The predictions of all subjects; NaN for subjects that are not evaluated."""

    points: F64  # (N, J, 3) in the model's joint order
    ms: F64  # (N,) crop, inference and decoding of one subject


def predict(model: Model, data: PreparedDataset, path: Path, progress: Progress) -> Predictions:
    """Return the predictions of all subjects; those saved in `path` are not computed again."""
    key = f"{hashlib.sha256(model.weights.read_bytes()).hexdigest()[:16]} {data.key} {model.name}"
    known = _read_saved(path, key)
    todo = [int(i) for i in np.flatnonzero(data.evaluated) if i not in known]
    if todo:
        _predict_missing(model, data, todo, path, lambda done: progress(len(known) + done, len(known) + len(todo)))
        known = _read_saved(path, key)
    points = np.full((len(data), len(model.joints), 3), np.nan)
    ms = np.full(len(data), np.nan)
    for i, (predicted, took_ms) in known.items():
        points[i], ms[i] = predicted, took_ms
    return Predictions(points, ms)


def _read_saved(path: Path, key: str) -> dict[int, tuple[list[list[float]], float]]:
    """Return the complete lines of `path` if it has this key; otherwise replace the file."""
    lines = path.read_text().splitlines(keepends=True) if path.is_file() else []
    whole = [line for line in lines if line.endswith("\n")]
    if not whole or json.loads(whole[0]) != key:
        whole = [json.dumps(key) + "\n"]
    if whole != lines:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(whole))
    rows = map(json.loads, whole[1:])
    return {row["i"]: (row["points"], row["ms"]) for row in rows}


def _predict_missing(
    model: Model, data: PreparedDataset, todo: list[int], path: Path, progress: Callable[[int], None]
) -> None:
    estimate = model.open(model.weights)
    inputs = _inputs(data, todo)
    with path.open("a") as file:
        for done, (i, subject) in enumerate(zip(todo, inputs, strict=True), 1):
            if done == 1:
                estimate(subject)  # warm-up: the first run allocates the buffers
            points, took_ms = _timed(estimate, subject)
            row = {"i": i, "points": np.round(points, 3).tolist(), "ms": round(took_ms, 3)}
            file.write(json.dumps(row) + "\n")
            file.flush()
            progress(done)


def _timed(estimate: Estimate, subject: SubjectInput) -> tuple[F64, float]:
    began_ns = time.perf_counter_ns()
    points = estimate(subject)
    return points, (time.perf_counter_ns() - began_ns) / 1e6


def _inputs(data: PreparedDataset, todo: list[int]) -> Iterator[SubjectInput]:
    last, image = -1, np.zeros((1, 1, 3), np.uint8)
    roots = _root_z_mm(data)
    for i in todo:
        if data.image[i] != last:
            last, image = int(data.image[i]), _image(data.images[data.image[i]])
        yield SubjectInput(image, data.box_xyxy[i], data.intrinsics[i], float(roots[i]))


def _root_z_mm(data: PreparedDataset) -> F64:
    if data.info.task == "2d":
        return np.full(len(data), np.nan)
    return np.asarray(data.truth[:, data.info.joints.index("pelvis"), 2])


def _image(path: str) -> U8:
    image = cv2.imread(path)
    if image is None:
        raise FileNotFoundError(f"{path}: not a readable image, but the annotations name it")
    return np.asarray(image, np.uint8)
