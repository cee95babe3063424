"""Time per image or person of the starter models by batch size, on one CPU thread: does batching pay?

Of each model alone; and of people the whole step, from the image to keypoints, to joints in space, or to distances.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from edged.config.tables.models import STARTER_LIFT, STARTER_ROOT
from edged.inference.cpu.backend import PoseEstimator
from edged.inference.cpu.onnxruntime import OrtSession
from edged.inference.cpu.pose3d import RootNet, VolumeNet
from edged.units import NS_PER_MS
from engines.catalogue import load
from tools.bench.configurations import DETECTOR, POSE
from tools.bench.contenders import model_path
from tools.bench.interleaved import round_robin

MODELS = {"detect": DETECTOR, "pose": POSE, "lift": STARTER_LIFT, "root": STARTER_ROOT}
STEPS = {"pose, whole step": POSE, "lift, whole step": STARTER_LIFT, "root, whole step": STARTER_ROOT}
SIZE_WH, PERSON_WH = (1280, 720), (150, 400)  # of the image, and of the boxes in it
BATCHES = (1, 2, 4)
IMAGES = 20  # per turn, at every batch size


def measure(turns: int) -> dict[str, dict[str, float]]:
    """Return the median CPU time per image or person, ms, by row and batch size, without that of other processes."""
    sessions = {name: OrtSession(load()[name], model_path(name), threads=1) for name in MODELS.values()}
    blocks = {}
    for n in BATCHES:
        for row, name in MODELS.items():
            width, height = sessions[name].card.input.size_wh
            tensor = np.random.default_rng(n).standard_normal((n, 3, height, width), np.float32)
            blocks[row, n] = partial(_turn, partial(sessions[name].run, tensor), n)
        for row, name in STEPS.items():
            blocks[row, n] = partial(_turn, _step(sessions[name], n), n)
    times = round_robin({f"{row} {n}": block for (row, n), block in blocks.items()}, turns)
    return {row: {str(n): float(np.median(times[f"{row} {n}"])) for n in BATCHES} for row in (*MODELS, *STEPS)}


def _step(session: OrtSession, people: int) -> Callable[[], object]:
    """Return what finds keypoints, joints or distances of so many people in one image."""
    (width, height), (w, h) = SIZE_WH, PERSON_WH
    image = np.random.default_rng(people).integers(0, 256, (height, width, 3), np.uint8)
    boxes = np.array([(x0 := 60 + 250 * n, 200, x0 + w, 200 + h) for n in range(people)], np.float32)
    if session.card.pose is not None:
        return partial(PoseEstimator(session).estimate, image, boxes, lambda stage: None)
    return partial((VolumeNet if session.card.lift else RootNet)(session).estimate, image, boxes)


def _turn(work: Callable[[], object], size: int, turn: int) -> Sequence[float]:
    return [_cpu_ms(work) / size for _ in range(IMAGES // size)]


def _cpu_ms(work: Callable[[], object]) -> float:
    """Return its CPU time, ms: a session with one thread runs on the calling thread."""
    began_ns = time.thread_time_ns()
    work()
    return (time.thread_time_ns() - began_ns) / NS_PER_MS
