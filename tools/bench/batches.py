"""Whether frames of several cameras are worth a batch on the CPU: the starter models by batch size, on one thread."""

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
from tools.bench.contenders import path_of
from tools.bench.turns import by_turns

MODELS = {"detect": DETECTOR, "pose": POSE}
BATCHES = (1, 2, 4)
IMAGES = 20  # of a turn, whatever the batch


def measure(turns: int) -> dict[str, dict[str, float]]:
    """Median CPU milliseconds an image by model and batch, all by turns: what others take of the core is not in it."""
    blocks = {}
    for model, name in MODELS.items():
        card = load()[name]
        session = OrtSession(card, path_of(name), threads=1)
        width, height = card.input.size_wh
        for n in BATCHES:
            tensor = np.random.default_rng(n).standard_normal((n, 3, height, width), np.float32)
            blocks[model, n] = partial(_turn, session, tensor)
    times = by_turns({f"{model} {n}": block for (model, n), block in blocks.items()}, turns)
    return {model: {str(n): float(np.median(times[f"{model} {n}"])) for n in BATCHES} for model in MODELS}


def _turn(session: OrtSession, tensor: F32, turn: int) -> Sequence[float]:
    return [_cpu_ms(session, tensor) / len(tensor) for _ in range(IMAGES // len(tensor))]


def _cpu_ms(session: OrtSession, tensor: F32) -> float:
    """Of this thread, which is all that a session of one thread runs on."""
    began_ns = time.thread_time_ns()
    session.run(tensor)
    return (time.thread_time_ns() - began_ns) / NS_PER_MS
