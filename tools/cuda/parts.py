"""The parts of the report in the order of what they are worth: what measures each, and how long it may take."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import cv2
import numpy as np

from edged.frame import U8
from edged.inference.cuda import engine_ort
from edged.inference.cuda.context import Gpu
from edged.inference.cuda.engine import Engine
from edged.inference.cuda.kernels import compiled_kernels
from engines.card import Card
from engines.catalogue import load
from tools.bench.contenders import POSE, Ours, path_of
from tools.bench.frames import Scene, photographs, scenes
from tools.cuda import engine_torch, figures, peers, timeline
from tools.cuda.apart import ROOT, Unmeasured
from tools.cuda.batching import batching
from tools.cuda.figures import Effort, Figures, Makers
from tools.cuda.peers import Course
from tools.kept import Kept

CLIP = ROOT / "tools/demo/stall.mp4"
FRAMES = 24
LEAST_S = 10.0  # with less left no part is begun
NO_TIME = "no time was left; the next run goes on here"

LIMITS_S = {
    "tests": 200,
    "loops": 200,
    "batching": 90,
    "stages": 90,
    "engines_ms": 60,
    "starters": 120,
    "published": 120,
    "steady": 200,
    "bandwidth": 60,
    "sanitizer": 240,
}

Kind = Literal["onnxruntime", "torch"]
KINDS: tuple[Kind, ...] = ("onnxruntime", "torch")  # the better one first
MakeFrom = Callable[[Card, Path, Gpu, Sequence[int] | None], Engine]
Measure = Callable[[str, float], Any]  # a part by name, within so many seconds; raises `Unmeasured`


def measured(
    measure: Measure,
    effort: Effort,
    kept: Kept,
    until_s: float = float("inf"),
    earlier: Mapping[str, Any] = MappingProxyType({}),
) -> Figures:
    """Every part by name, or why it has no figures; none goes on after `until_s` of the monotonic clock.

    Those that the `earlier` run tried in vain come last.
    """
    found: Figures = {"effort": asdict(effort)}
    for name in sorted(LIMITS_S, key=lambda name: earlier.get(name, {}).get("why_not", NO_TIME) != NO_TIME):
        try:
            found[name] = kept.part(name, partial(_within, measure, name, until_s))
        except Unmeasured as why:
            found[name] = {"why_not": str(why)}
            print(f"{name}: not measured: {why}", flush=True)
    found["others_cores"] = float(np.mean(list(kept.others.values()) or [0.0]))
    return found


def here(
    makers: Makers, published: Makers, course: Course, effort: Effort, images: Sequence[U8]
) -> dict[str, Callable[[], Any]]:
    """What measures a part in this process; the tests are processes themselves."""
    seen = list(images)
    return {
        "loops": partial(figures.loops, makers, seen, effort),
        "batching": partial(batching, makers, effort),
        "stages": partial(timeline.stages, makers, seen, effort),
        "engines_ms": partial(figures.engines_alone, makers, effort),
        "starters": partial(peers.starters, makers, course),
        "published": partial(peers.published, published, course),
        "steady": partial(figures.steady, makers, seen, effort),
        "bandwidth": partial(figures.bandwidth, makers, seen, effort),
    }


def of_engines(kind: Kind, detector: Path, photos: Path, effort: Effort) -> Mapping[str, Callable[[], Any]]:
    """The same, on ONNX Runtime's CUDA or PyTorch's."""
    course = Course(scenes=partial(_scenes, photos, effort.turns), turns=effort.turns, detector=detector)
    starter = _makers(kind, peers.STARTER, path_of(peers.STARTER))
    return here(starter, _makers(kind, peers.PUBLISHED, detector), course, effort, clip())


def engine(kind: Kind, name: str, file: Path, gpu: Gpu, batches: Sequence[int] | None = None) -> Engine:
    """Raises `ModelMissing`, or `Absent` where there is no such engine."""
    made: MakeFrom = engine_ort.open_engine if kind == "onnxruntime" else engine_torch.open_engine
    return made(load()[name], file, gpu, batches)


def clip(frames: int = FRAMES) -> list[U8]:
    capture, images = cv2.VideoCapture(str(CLIP)), []
    for number in range(frames):
        capture.set(cv2.CAP_PROP_POS_FRAMES, 12 * number)
        images.append(np.asarray(capture.read()[1], np.uint8))
    return images


def _within(measure: Measure, name: str, until_s: float) -> Any:
    left_s = until_s - time.monotonic()
    if left_s < LEAST_S:
        raise Unmeasured(NO_TIME)
    return measure(name, min(LIMITS_S[name], left_s))


def _makers(kind: Kind, detector: str, file: Path) -> Makers:
    image = compiled_kernels()
    assert image is not None  # noqa: S101  # it has been looked for
    pose = partial(engine, kind, POSE, path_of(POSE))
    return Makers(partial(engine, kind, detector, file), {"person": pose}, image)


def _scenes(folder: Path, count: int, people: int, ours: Ours) -> list[Scene]:
    return scenes(photographs(folder), people, count, ours)
