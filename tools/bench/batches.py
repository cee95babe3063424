"""Time per image of the starter models by batch size, on one CPU thread: does batching several cameras pay?"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

import numpy as np

from edged.frame import F32
from edged.inference.cpu.onnxruntime import OrtSession
from edged.units import NS_PER_MS
from engines.catalogue import load
from tools.bench.configurations import DETECTOR, POSE
from tools.bench.contenders import model_path
from tools.bench.interleaved import round_robin

MODELS = {"detect": DETECTOR, "pose": POSE}
BATCHES = (1, 2, 4)
IMAGES = 20  # per turn, at every batch size


def measure(turns: int) -> dict[str, dict[str, float]]:
    """Return the median CPU time per image, ms, by model and batch size; time of other processes is excluded."""
    blocks = {}
    for model, name in MODELS.items():
        card = load()[name]
        session = OrtSession(card, model_path(name), threads=1)
        width, height = card.input.size_wh
        for n in BATCHES:
            tensor = np.random.default_rng(n).standard_normal((n, 3, height, width), np.float32)
            blocks[model, n] = partial(_turn, session, tensor)
    times = round_robin({f"{model} {n}": block for (model, n), block in blocks.items()}, turns)
    return {model: {str(n): float(np.median(times[f"{model} {n}"])) for n in BATCHES} for model in MODELS}


def _turn(session: OrtSession, tensor: F32, turn: int) -> Sequence[float]:
    return [_cpu_ms(session, tensor) / len(tensor) for _ in range(IMAGES // len(tensor))]


def _cpu_ms(session: OrtSession, tensor: F32) -> float:
    """Return the CPU time of one run, ms: a session with one thread runs on the calling thread."""
    began_ns = time.thread_time_ns()
    session.run(tensor)
    return (time.thread_time_ns() - began_ns) / NS_PER_MS
