"""The foundry as this machine can have it: its TensorRT, its GPU, ONNX Runtime for the reference."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from edged.config.tree import Config
from edged.inference.cpu.onnxruntime import OnnxRunner
from edged.inference.cuda.context import Gpu
from edged.inference.cuda.engine import Engine
from edged.inference.decode.detectors import DECODERS
from edged.inference.decode.heatmap3d import soft_argmax
from edged.inference.engine_builds import EngineBuildService
from edged.inference.load_models import model_cards
from edged.inference.session import Session
from engines import machine
from engines.bindings import Flavour, find
from engines.build.process import BuildProcess
from engines.build.service import BuildJob, EngineBuilder, Runtimes
from engines.card import Card
from engines.errors import EngineError, NoTensorRT
from engines.prepare.model import PreparedModel
from engines.store.engine_store import EngineStore, StoredEngine
from engines.store.key import BuildOptions
from engines.store.model_store import ModelStore

log = logging.getLogger(__name__)

ENGINE_FOLDER = "engines"  # in the model store
QUICK_LEVEL = 0  # optimization level


def builder_for(settings: Config) -> EngineBuilder | None:
    """Where engines are worth building: TensorRT and a GPU are here, or somebody insists."""
    wanted = settings.engines.tensorrt
    if wanted == "off" or (wanted == "auto" and machine.detect().gpu is None):
        return None
    try:
        flavour: Flavour = "tensorrt" if wanted == "auto" else wanted
        return engine_builder(settings.models.store, flavour, quota_mb=settings.engines.quota_mb)
    except NoTensorRT as absent:
        log.warning("%s; models run on ONNX Runtime", absent)
        return None


def build_service(settings: Config, ready: Callable[[BuildJob, StoredEngine], None]) -> EngineBuildService | None:
    """Makes engines of the models in use, where that is worth it."""
    foundry = builder_for(settings)
    if foundry is None:
        return None
    store, files = ModelStore(settings.models.store, settings.models.mirror), {}
    for card in model_cards(settings.models).all:
        with suppress(EngineError):  # said where the models are loaded
            files[card.name] = card, store.path(card)
    options = settings.engines
    levels = (QUICK_LEVEL, options.level) if options.quick_first and options.level > QUICK_LEVEL else (options.level,)
    return EngineBuildService(foundry, files, ready, levels=levels, workspace_mb=options.workspace_mb)


class BuiltEngine:
    """An engine in the store that has been proved, as the daemon takes it up."""

    def __init__(self, job: BuildJob, plan: StoredEngine) -> None:
        self._job, self._plan = job, plan

    def session(self) -> Session:
        return trt_session(self._plan.read(), self._job.model, self._job.card, self._job.options)

    def engine(self, gpu: Gpu) -> Engine:
        from edged.inference.cuda.engine_trt import TrtEngine  # noqa: PLC0415  (needs TensorRT)

        card, model = self._job.card, self._job.model
        return TrtEngine(gpu, prepared_card(card, model), self._plan.read(), model, self._job.options.profiles)


def trt_session(plan: bytes, model: PreparedModel, card: Card, options: BuildOptions) -> Session:
    """The engine on the GPU, of the thread that calls. Raises `PlanRefused`."""
    from edged.inference.cuda.session_trt import TrtSession  # noqa: PLC0415  (needs pycuda only where there is a GPU)

    return TrtSession(prepared_card(card, model), plan, model, options.profiles)


def prepared_card(card: Card, model: PreparedModel) -> Card:
    """The card with the decoder that the prepared model's outputs want."""
    return card.model_copy(update={"family": model.family})


def engine_builder(
    store: Path, flavour: Flavour, memory_mb: int | None = None, quota_mb: int | None = None
) -> EngineBuilder:
    """Raises `NoTensorRT`. Engines can be built wherever TensorRT is, and run where there is a GPU."""
    trt = find(flavour)
    plans = EngineStore(store / ENGINE_FOLDER, quota_mb)
    engine = trt_session if flavour == "tensorrt" and machine.detect().gpu is not None else None
    workshop = Runtimes(reference=OnnxRunner, engine=engine, decoders={**DECODERS, "heatmap3d": soft_argmax})
    return EngineBuilder(plans, trt, machine.detect(), workshop, BuildProcess(plans.partial, flavour, memory_mb))
