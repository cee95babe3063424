"""What a model said, one line per subject as it goes: killed and run again, it goes on where it was.

A file belongs to one model file and one prepared dataset; a file of others is begun anew, a torn last line dropped.
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
from tools.evaluate.benchmark.estimators import Estimate, Question
from tools.evaluate.benchmark.models import Model
from tools.evaluate.benchmark.prepared import Prepared

Progress = Callable[[int, int], None]  # done, of


class Said(NamedTuple):
    """Every subject's answer; NaN for those not asked about."""

    points: F64  # (N, J, 3) with the model's joints
    ms: F64  # (N,) crop, net and decode of one subject


def asked(model: Model, data: Prepared, path: Path, progress: Progress) -> Said:
    """All answers, those in `path` not asked for again."""
    key = f"{hashlib.sha256(model.weights.read_bytes()).hexdigest()[:16]} {data.key} {model.name}"
    known = _kept(path, key)
    todo = [int(i) for i in np.flatnonzero(data.asked) if i not in known]
    if todo:
        _ask(model, data, todo, path, lambda done: progress(len(known) + done, len(known) + len(todo)))
        known = _kept(path, key)
    points = np.full((len(data), len(model.joints), 3), np.nan)
    ms = np.full(len(data), np.nan)
    for i, (said, took_ms) in known.items():
        points[i], ms[i] = said, took_ms
    return Said(points, ms)


def _kept(path: Path, key: str) -> dict[int, tuple[list[list[float]], float]]:
    """Whole lines of `path` if it is about the same; else it is begun anew."""
    lines = path.read_text().splitlines(keepends=True) if path.is_file() else []
    whole = [line for line in lines if line.endswith("\n")]
    if not whole or json.loads(whole[0]) != key:
        whole = [json.dumps(key) + "\n"]
    if whole != lines:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(whole))
    rows = map(json.loads, whole[1:])
    return {row["i"]: (row["points"], row["ms"]) for row in rows}


def _ask(model: Model, data: Prepared, todo: list[int], path: Path, progress: Callable[[int], None]) -> None:
    estimate = model.open(model.weights)
    questions = _questions(data, todo)
    with path.open("a") as file:
        for done, (i, question) in enumerate(zip(todo, questions, strict=True), 1):
            if done == 1:
                estimate(question)  # the first run of a session pays for its buffers; its time is nobody's
            points, took_ms = _timed(estimate, question)
            row = {"i": i, "points": np.round(points, 3).tolist(), "ms": round(took_ms, 3)}
            file.write(json.dumps(row) + "\n")
            file.flush()
            progress(done)


def _timed(estimate: Estimate, question: Question) -> tuple[F64, float]:
    began_ns = time.perf_counter_ns()
    points = estimate(question)
    return points, (time.perf_counter_ns() - began_ns) / 1e6


def _questions(data: Prepared, todo: list[int]) -> Iterator[Question]:
    last, image = -1, np.zeros((1, 1, 3), np.uint8)
    roots = _root_z_mm(data)
    for i in todo:
        if data.image[i] != last:
            last, image = int(data.image[i]), _image(data.images[data.image[i]])
        yield Question(image, data.box_xyxy[i], data.lens[i], float(roots[i]))


def _root_z_mm(data: Prepared) -> F64:
    if data.facts.task == "plane":
        return np.full(len(data), np.nan)
    return np.asarray(data.truth[:, data.facts.joints.index("pelvis"), 2])


def _image(path: str) -> U8:
    image = cv2.imread(path)
    if image is None:
        raise FileNotFoundError(f"{path}: no image there, or none that can be read; the annotations name it")
    return np.asarray(image, np.uint8)
