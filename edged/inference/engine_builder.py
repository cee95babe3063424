"""What builds and runs TensorRT engines on this machine: its TensorRT, its GPU, and ONNX Runtime as the reference."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path

from edged.config.tree import Config
from edged.inference.cpu.onnxruntime import OnnxRunner
from edged.inference.cuda.context import Gpu
from edged.inference.cuda.engine import Engine
from edged.inference.cuda.engine_trt import TrtEngine
from edged.inference.cuda.session_trt import TrtSession
from edged.inference.decode import ALL_DECODERS
from edged.inference.engine_builds import EngineBuildService
from edged.inference.model_cards import model_cards
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
QUICK_LEVEL = 0  # TensorRT's optimization level of the first, quick build


class BuiltEngine:
    """A stored engine that passed its self-test: a `UsableEngine`."""

    def __init__(self, job: BuildJob, engine: StoredEngine) -> None:
        self._job, self._engine = job, engine

    def session(self) -> Session:
        return trt_session(self._engine.read(), self._job.model, self._job.card, self._job.options)

    def engine(self, gpu: Gpu) -> Engine:
        card, model = prepared_card(self._job.card, self._job.model), self._job.model
        return TrtEngine(gpu, card, self._engine.read(), model, self._job.options.profiles)


def trt_session(plan: bytes, model: PreparedModel, card: Card, options: BuildOptions) -> Session:
    """A serialized engine on the GPU. Raises `PlanRefused`. Thread: the session belongs to the one that calls."""
    return TrtSession(prepared_card(card, model), plan, model, options.profiles)


def prepared_card(card: Card, model: PreparedModel) -> Card:
    """The card with the decoder family of the prepared model's outputs."""
    return card.model_copy(update={"family": model.family})


def engine_builder(
    store: Path, flavour: Flavour, memory_mb: int | None = None, quota_mb: int | None = None
) -> EngineBuilder:
    """What builds engines wherever TensorRT is installed, and runs them where there is a GPU. Raises `NoTensorRT`."""
    trt = find(flavour)
    engines = EngineStore(store / ENGINE_FOLDER, quota_mb)
    engine = trt_session if flavour == "tensorrt" and machine.detect().gpu is not None else None
    runtimes = Runtimes(reference=OnnxRunner, engine=engine, decoders=ALL_DECODERS)
    return EngineBuilder(engines, trt, machine.detect(), runtimes, BuildProcess(engines.partial, flavour, memory_mb))


def builder_for(settings: Config) -> EngineBuilder | None:
    """None where building is not worth it: switched off, no TensorRT, or (with `auto`) no GPU."""
    wanted = settings.engines.tensorrt
    if wanted == "off" or (wanted == "auto" and machine.detect().gpu is None):
        return None
    try:
        flavour: Flavour = "tensorrt" if wanted == "auto" else wanted
        return engine_builder(settings.models.store, flavour, quota_mb=settings.engines.quota_mb)
    except NoTensorRT as absent:
        log.warning("%s; models run on ONNX Runtime", absent)
        return None


def build_service(settings: Config) -> EngineBuildService | None:
    """The service for the models in use; None where building is not worth it."""
    builder = builder_for(settings)
    if builder is None:
        return None
    store, files = ModelStore(settings.models.store, settings.models.mirror), {}
    for card in model_cards(settings.models_in_use).all:
        with suppress(EngineError):  # load_models reports a missing model
            files[card.name] = card, store.path(card)
    options = settings.engines
    levels = (
        (QUICK_LEVEL, options.optimization_level)
        if options.quick_first and options.optimization_level > QUICK_LEVEL
        else (options.optimization_level,)
    )
    return EngineBuildService(
        builder, files, levels=levels, workspace_mb=options.workspace_mb, precision=settings.compute.precision
    )
