"""The foundry as this machine can have it: its TensorRT, its GPU, ONNX Runtime for the reference."""

from __future__ import annotations

from pathlib import Path

from edged.adapters.runner_ort import OnnxRunner
from edged.decode.detectors import FAMILIES
from engines import machine
from engines.forge import Forge
from engines.foundry import Foundry, Workshop
from engines.plans import Plans
from engines.trt import Flavour, find

FOLDER = "engines"  # in the model store


def foundry_of(store: Path, flavour: Flavour, memory_mb: int | None = None) -> Foundry:
    """Raises `NoTensorRT`. Engines can be built wherever TensorRT is; nothing runs them here yet."""
    trt = find(flavour)
    plans = Plans(store / FOLDER)
    workshop = Workshop(reference=OnnxRunner, engine=None, decoders=FAMILIES)
    return Foundry(plans, trt, machine.here(), workshop, Forge(plans.partial, flavour, memory_mb))
