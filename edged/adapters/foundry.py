"""The foundry as this machine can have it: its TensorRT, its GPU, ONNX Runtime for the reference."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from edged.adapters.cuda.engine import Engine
from edged.adapters.cuda.gpu import Gpu
from edged.adapters.plane_cpu import Session
from edged.adapters.planes import cards_in_use
from edged.adapters.runner_ort import OnnxRunner
from edged.box.smithy import Smithy
from edged.config import Config
from edged.decode.detectors import FAMILIES
from edged.decode.heatmap3d import expected
from engines import machine
from engines.card import Card
from engines.errors import EngineError, NoTensorRT
from engines.forge import Forge
from engines.foundry import Foundry, Job, Workshop
from engines.key import Options
from engines.plans import Plan, Plans
from engines.prepare import Prepared
from engines.store import Store
from engines.trt import Flavour, find

log = logging.getLogger(__name__)

FOLDER = "engines"  # in the model store
QUICK = 0  # optimization level


def foundry_for(settings: Config) -> Foundry | None:
    """Where engines are worth building: TensorRT and a GPU are here, or somebody insists."""
    wanted = settings.engines.tensorrt
    if wanted == "off" or (wanted == "auto" and machine.here().gpu is None):
        return None
    try:
        flavour: Flavour = "tensorrt" if wanted == "auto" else wanted
        return foundry_of(settings.models.store, flavour, quota_mb=settings.engines.quota_mb)
    except NoTensorRT as absent:
        log.warning("%s; models run on ONNX Runtime", absent)
        return None


def smithy_of(settings: Config, ready: Callable[[Job, Plan], None]) -> Smithy | None:
    """Makes engines of the models in use, where that is worth it."""
    foundry = foundry_for(settings)
    if foundry is None:
        return None
    store, files = Store(settings.models.store, settings.models.mirror), {}
    for card in cards_in_use(settings.models).all:
        with suppress(EngineError):  # said where the models are loaded
            files[card.name] = card, store.path(card)
    options = settings.engines
    levels = (QUICK, options.level) if options.quick_first and options.level > QUICK else (options.level,)
    return Smithy(foundry, files, ready, levels=levels, workspace_mb=options.workspace_mb)


class Forged:
    """An engine in the store that has been proved, as the daemon takes it up."""

    def __init__(self, job: Job, plan: Plan) -> None:
        self._job, self._plan = job, plan

    def session(self) -> Session:
        return runner(self._plan.read(), self._job.model, self._job.card, self._job.options)

    def engine(self, gpu: Gpu) -> Engine:
        from edged.adapters.cuda.engine_trt import TrtEngine  # noqa: PLC0415  (needs TensorRT)

        card, model = self._job.card, self._job.model
        return TrtEngine(gpu, as_prepared(card, model), self._plan.read(), model, self._job.options.profiles)


def runner(plan: bytes, model: Prepared, card: Card, options: Options) -> Session:
    """The engine on the GPU, of the thread that calls. Raises `PlanRefused`."""
    from edged.adapters.session_trt import TrtSession  # noqa: PLC0415  (needs pycuda only where there is a GPU)

    return TrtSession(as_prepared(card, model), plan, model, options.profiles)


def as_prepared(card: Card, model: Prepared) -> Card:
    """The card with the decoder that the prepared model's outputs want."""
    return card.model_copy(update={"family": model.family})


def foundry_of(store: Path, flavour: Flavour, memory_mb: int | None = None, quota_mb: int | None = None) -> Foundry:
    """Raises `NoTensorRT`. Engines can be built wherever TensorRT is, and run where there is a GPU."""
    trt = find(flavour)
    plans = Plans(store / FOLDER, quota_mb)
    engine = runner if flavour == "tensorrt" and machine.here().gpu is not None else None
    workshop = Workshop(reference=OnnxRunner, engine=engine, decoders={**FAMILIES, "heatmap3d": expected})
    return Foundry(plans, trt, machine.here(), workshop, Forge(plans.partial, flavour, memory_mb))
