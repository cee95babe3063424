"""The parts of the report in the order of importance: the function and the time limit of each."""

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
from tools.bench.contenders import POSE, EdgedPipeline, model_path
from tools.bench.frames import Scene, photographs, scenes
from tools.cuda import engine_torch, figures, libraries, tensorrt, timeline
from tools.cuda.batching import batching
from tools.cuda.figures import Effort, Figures, Makers
from tools.cuda.isolated import ROOT, NotMeasured
from tools.cuda.libraries import PeerSetup
from tools.cuda.tensorrt import MakeBuilder
from tools.resume import SavedParts

CLIP = ROOT / "tools/demo/stall.mp4"
FRAMES = 24
MIN_PART_S = 10.0  # with less time left no part is started
NO_TIME = "no time was left; the next run continues here"

LIMITS_S = {
    "tests": 200,
    "loops": 200,
    "batching": 90,
    "stages": 90,
    "engines_ms": 60,
    "starters": 120,
    "published": 120,
    **{tensorrt.part(precision): tensorrt.LIMIT_S for precision in tensorrt.PRECISIONS},
    "steady": 200,
    "bandwidth": 60,
    "sanitizer": 240,
}

Kind = Literal["onnxruntime", "torch", "tensorrt"]
MakeFrom = Callable[[Card, Path, Gpu, Sequence[int] | None], Engine]
RUNNERS: dict[Kind, MakeFrom] = {  # in order of preference: the first two compute in FP32, as the libraries compared
    "onnxruntime": engine_ort.open_engine,
    "torch": engine_torch.open_engine,
    "tensorrt": tensorrt.open_engine,
}
KINDS = tuple(RUNNERS)
Measure = Callable[[str, float], Any]  # takes the name of a part and its time limit, s; raises `NotMeasured`


def measured(
    measure: Measure,
    effort: Effort,
    saved: SavedParts,
    until_s: float = float("inf"),
    earlier: Mapping[str, Any] = MappingProxyType({}),
) -> Figures:
    """Return the figures of every part by name, or the reason why there are none; stops at `until_s` (monotonic clock).

    Parts that failed in the `earlier` run come last.
    """
    found: Figures = {"effort": asdict(effort)}
    for name in sorted(LIMITS_S, key=lambda name: earlier.get(name, {}).get("why_not", NO_TIME) != NO_TIME):
        try:
            found[name] = saved.part(name, partial(_within, measure, name, until_s))
        except NotMeasured as reason:
            found[name] = {"why_not": str(reason)}
            print(f"{name}: not measured: {reason}", flush=True)
    found["others_cores"] = float(np.mean(list(saved.others.values()) or [0.0]))
    return found


def part_functions(
    makers: Makers,
    published: Makers,
    setup: PeerSetup,
    effort: Effort,
    images: Sequence[U8],
    *,
    builder: MakeBuilder | None = None,
) -> dict[str, Callable[[], Any]]:
    """Return the functions that measure parts in this process; tests run in processes of their own."""
    frames_bgr = list(images)
    return {
        "loops": partial(figures.loops, makers, frames_bgr, effort),
        "batching": partial(batching, makers, effort),
        "stages": partial(timeline.stages, makers, frames_bgr, effort),
        "engines_ms": partial(figures.engines_alone, makers, effort),
        "starters": partial(libraries.starters, makers, setup),
        "published": partial(libraries.published, published, setup),
        **{
            tensorrt.part(precision): partial(tensorrt.engines, precision, effort, builder)
            for precision in tensorrt.PRECISIONS
        },
        "steady": partial(figures.memory_growth, makers, frames_bgr, effort),
        "bandwidth": partial(figures.bandwidth, makers, frames_bgr, effort),
    }


def parts_of_runner(kind: Kind, detector: Path, photos: Path, effort: Effort) -> Mapping[str, Callable[[], Any]]:
    """Return the same functions with engines on ONNX Runtime or PyTorch."""
    setup = PeerSetup(scenes=partial(_scenes, photos, effort.turns), turns=effort.turns, detector=detector)
    starter = _makers(kind, libraries.STARTER, model_path(libraries.STARTER))
    return part_functions(starter, _makers(kind, libraries.PUBLISHED, detector), setup, effort, clip())


def engine(kind: Kind, name: str, file: Path, gpu: Gpu, batches: Sequence[int] | None = None) -> Engine:
    """Raises `ModelMissing`, or `Unavailable` where there is no such engine."""
    return RUNNERS[kind](load()[name], file, gpu, batches)


def clip(frames: int = FRAMES) -> list[U8]:
    capture, images = cv2.VideoCapture(str(CLIP)), []
    for number in range(frames):
        capture.set(cv2.CAP_PROP_POS_FRAMES, 12 * number)
        images.append(np.asarray(capture.read()[1], np.uint8))
    return images


def _within(measure: Measure, name: str, until_s: float) -> Any:
    left_s = until_s - time.monotonic()
    if left_s < MIN_PART_S:
        raise NotMeasured(NO_TIME)
    return measure(name, min(LIMITS_S[name], left_s))


def _makers(kind: Kind, detector: str, file: Path) -> Makers:
    image = compiled_kernels()
    assert image is not None  # noqa: S101  # checked in command.py
    pose = partial(engine, kind, POSE, model_path(POSE))
    return Makers(partial(engine, kind, detector, file), {"person": pose}, image)


def _scenes(folder: Path, count: int, people: int, pipeline: EdgedPipeline) -> list[Scene]:
    return scenes(photographs(folder), people, count, pipeline)
