"""The models of a configuration, loaded onto the best backend that this machine has for them.

First `resolve` finds what can run each model; then one of two builders makes a backend of it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from edged.config.tables.models import ComputeConfig, ModelsConfig
from edged.errors import ConfigError, ModelMissing
from edged.inference.backend import PoseBackend
from edged.inference.cpu.backend import CpuBackend
from edged.inference.cpu.choose import CpuChoice
from edged.inference.cpu.null import NullBackend
from edged.inference.cuda import engine_ort
from edged.inference.cuda.backend import CudaBackend
from edged.inference.cuda.open import EngineFactory, open_backend, unavailable_reason
from edged.inference.model_cards import ModelCards, model_cards
from edged.inference.model_sessions import EngineLookup, ModelStatus, Runtime, Sessions, frames_at_once, resolve
from edged.runtime.cpus import allowed_cpus
from engines.card import Detect, Pose
from engines.errors import EngineError
from engines.store.model_store import ModelStore

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedModels:
    """The models in use, loaded. The thread that loads them owns the backend."""

    backend: PoseBackend
    detector: Detect
    poses: dict[str, Pose]  # by class; a class whose model is missing is left out
    has_lift: bool  # whether people can be lifted into 3D
    runtime_by_model: dict[str, Runtime]
    missing_by_model: dict[str, str]  # why a model has no runtime
    starter: tuple[str, ...]  # models in use that come with the package, for trials
    threads: int | None  # of each model on the CPU; None: none runs there
    frames_at_once: int  # of as many cameras, each on its own threads
    can_share_cores: bool  # whether another number of cameras may mean another number of frames at once
    cpu: CpuChoice | None  # what runs models on the CPU, and why; None: none runs there

    @property
    def keypoint_thresholds(self) -> dict[str, float]:
        """The score from which a keypoint counts as visible, by schema."""
        return {pose.schema_name: pose.score for pose in self.poses.values()}

    @property
    def backend_info(self) -> dict[str, Any]:
        """The backend, how it reads frames and whether it uses CUDA graphs, for `info` and `health`."""
        if isinstance(self.backend, CudaBackend):
            access = self.backend.frame_access
            return {"backend": "cuda", "frame_access": access, "cuda_graphs": self.backend.uses_graphs}
        shared = {"threads": self.threads, "frames_at_once": self.frames_at_once}
        return {"backend": "cpu", **shared, **self._cpu_info}

    @property
    def _cpu_info(self) -> dict[str, str]:
        if self.cpu is None:
            return {}
        return {"cpu_precision": self.cpu.candidate.precision, "cpu_reason": self.cpu.reason}

    def shares_cores_otherwise(self, compute: ComputeConfig, cameras: int) -> bool:
        """Whether these models, loaded for that many cameras, would compute another number of frames at once."""
        return self.can_share_cores and self.frames_at_once != frames_at_once(compute, cameras)

    @property
    def service_level(self) -> Literal["poses", "boxes", "cameras"]:
        """What can be published: poses, boxes without pose models, or only the cameras' state."""
        if isinstance(self.backend, NullBackend):
            return "cameras"
        return "poses" if self.poses else "boxes"


def load_models(
    models: ModelsConfig,
    compute: ComputeConfig,
    *,
    allow_missing: bool = False,
    engine_of: EngineLookup = lambda card: None,
    cameras: int = 1,
) -> LoadedModels:
    """The models in use, each as the engine that `engine_of` gives, else on ONNX Runtime.

    With several `cameras` on the CPU a frame gets its share of the cores, and as many are computed at once.
    They run on the CUDA backend once all but the 3D ones can. `allow_missing`: continue without unavailable models
    and report them. Raises `ConfigError`; without `allow_missing` also `EngineError` and `ModelMissing`.
    """
    lack = unavailable_reason() if compute.backend != "cpu" else "not wanted"
    if compute.backend == "cuda" and lack:
        raise ConfigError(f"compute.backend = 'cuda': {lack}; or write auto")
    cards = model_cards(models)
    statuses = resolve(cards, ModelStore(models.store, models.mirror), engine_of)
    sessions = Sessions(statuses, compute, models.store, allow_missing=allow_missing, cameras=cameras)
    loaded = (None if lack else build_cuda(cards, statuses, sessions)) or build_cpu(cards, sessions)
    log.info(
        "models: %s%s", ", ".join(f"{name} on {by}" for name, by in loaded.runtime_by_model.items()), _cpus(loaded)
    )
    if models.root and cards.root is None:
        log.info("models: %s is not loaded: the size of the box gave more accurate distances", models.root)
    if loaded.starter:
        log.info("models: starter weights are for trials; for work: edged models recommend people, horses or stalls")
    return loaded


def _cpus(loaded: LoadedModels) -> str:
    """`, 2 threads (2 of 8 CPUs allowed)` where models run on the CPU, and why it is that runtime."""
    if loaded.threads is None:
        return ""
    why = f"; {loaded.cpu.candidate}, {loaded.cpu.reason}" if loaded.cpu and loaded.cpu.reason else ""
    number = f"{loaded.threads} thread{'' if loaded.threads == 1 else 's'}"
    if loaded.frames_at_once > 1:
        number = f"{loaded.frames_at_once} frames at once with {number} each"
    return f", {number} ({allowed_cpus()} of {os.cpu_count()} CPUs allowed){why}"


def build_cuda(cards: ModelCards, statuses: Mapping[str, ModelStatus], sessions: Sessions) -> LoadedModels | None:
    """The models on the CUDA backend; None when one of them cannot run there."""
    detector = _factory(statuses[cards.detector.name])
    posed = {label: statuses[card.name] for label, card in cards.poses.items() if statuses[card.name].is_available}
    factories = {label: factory for label, status in posed.items() if (factory := _factory(status))}
    if detector is None or len(factories) < len(posed):
        return None
    lift = _lift_factories(cards, statuses)
    lifter = None if lift else sessions.open_lifter(cards)
    try:
        backend = open_backend(detector, factories, lift, lifter)
    except (EngineError, ModelMissing) as refusal:
        log.error("the CUDA backend: %s; frames go through the host instead", refusal)
        if lifter is not None:
            lifter.close()
        return None
    while sessions.warm_up_next():
        pass
    on_gpu = [cards.detector.name, *(status.card.name for status in posed.values())]
    on_gpu += [card.name for card in (cards.lift, cards.root) if lift and card]
    sessions.runtime_by_model.update({name: "tensorrt" if statuses[name].engine else "onnxruntime" for name in on_gpu})
    return _loaded(cards, backend, posed, sessions, has_lift=bool(lift or lifter))


def _factory(status: ModelStatus) -> EngineFactory | None:
    """What makes the model an engine of the CUDA backend."""
    if status.engine is not None:
        return status.engine.engine
    if isinstance(status.file, Path) and engine_ort.is_available():
        return partial(engine_ort.open_engine, status.card, status.file)
    return None


def _lift_factories(
    cards: ModelCards, statuses: Mapping[str, ModelStatus]
) -> tuple[EngineFactory, EngineFactory | None] | None:
    """Of the 3D models, once each that is in use has a TensorRT engine."""
    volume, root = (statuses[card.name].engine if card else None for card in (cards.lift, cards.root))
    if volume is None or (cards.root is not None and root is None):
        return None
    return volume.engine, root.engine if root else None


def build_cpu(cards: ModelCards, sessions: Sessions) -> LoadedModels:
    """The models with pixels on the CPU; without a detector, a backend that only measures images."""
    detector = sessions.open(cards.detector)
    poses = {label: session for label, card in cards.poses.items() if (session := sessions.open(card))}
    lifter = sessions.open_lifter(cards)
    backend: PoseBackend = NullBackend(cards.detect.classes)
    if detector is not None:
        once = sessions.frames_at_once
        backend = CpuBackend(detector, poses, lifter, frames_at_once=once, warm_up=sessions.warm_up_next)
    return _loaded(cards, backend, poses, sessions, has_lift=lifter is not None)


def _loaded(
    cards: ModelCards, backend: PoseBackend, posed: Iterable[str], sessions: Sessions, *, has_lift: bool
) -> LoadedModels:
    on_cpu = isinstance(backend, CpuBackend)
    return LoadedModels(
        backend=backend,
        detector=cards.detect,
        poses={label: cards.pose_specs[label] for label in posed},
        has_lift=has_lift,
        runtime_by_model=sessions.runtime_by_model,
        missing_by_model=sessions.missing_by_model,
        starter=cards.starter,
        threads=sessions.threads if on_cpu else None,
        frames_at_once=sessions.frames_at_once if on_cpu else 1,
        can_share_cores=on_cpu and sessions.can_share_cores,
        cpu=sessions.cpu if on_cpu else None,
    )
