"""The models of a configuration, loaded onto the best backend that this machine has for them.

First `resolve` finds what can run each model; then one of two builders makes a backend of it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from edged.config.tables.models import ComputeConfig, ModelsConfig
from edged.errors import ConfigError, ModelMissing
from edged.inference.backend import PoseBackend
from edged.inference.cpu.backend import PREALLOCATED_SUBJECTS, CpuBackend
from edged.inference.cpu.choose import CpuChoice, choose, cpu_precision
from edged.inference.cpu.int8_file import int8_file
from edged.inference.cpu.null import NullBackend
from edged.inference.cpu.pose3d import RootNet, VolumeNet
from edged.inference.cpu.runtimes import ModelFiles, open_session
from edged.inference.cuda import engine_ort
from edged.inference.cuda.backend import CudaBackend
from edged.inference.cuda.context import Gpu
from edged.inference.cuda.engine import Engine
from edged.inference.cuda.open import EngineFactory, open_backend, unavailable_reason
from edged.inference.pose3d.lifter import Lifter
from edged.inference.pose3d.projection import is_surer_than_box
from edged.inference.session import Session
from edged.runtime.cpus import allowed_cpus
from engines.card import Card, Detect, Pose
from engines.catalogue import load
from engines.errors import EngineError, PlanRefused
from engines.store.model_store import ModelStore

log = logging.getLogger(__name__)

Runtime = Literal["tensorrt", "onnxruntime", "openvino", "nothing"]
Spec = TypeVar("Spec")


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


class UsableEngine(Protocol):
    """A TensorRT engine that passed its self-test. Both methods raise `PlanRefused`. Thread: the one that asks."""

    def session(self) -> Session:
        """The engine alone: host arrays in and out."""

    def engine(self, gpu: Gpu) -> Engine:
        """The engine as a part of the CUDA backend."""


EngineLookup = Callable[[Card], UsableEngine | None]


class ModelCards(NamedTuple):
    """The cards of the models that a configuration names."""

    detector: Card
    detect: Detect  # of the detector
    poses: dict[str, Card]  # by class
    pose_specs: dict[str, Pose]  # by class
    lift: Card | None
    root: Card | None

    @property
    def starter(self) -> tuple[str, ...]:
        """Those that come with the package, for trials."""
        return tuple(dict.fromkeys(card.name for card in self.all if card.source.bundled))

    @property
    def all(self) -> tuple[Card, ...]:
        return tuple(card for card in (self.detector, *self.poses.values(), self.lift, self.root) if card is not None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelStatus:
    """What there is to run one model with: a TensorRT engine, the ONNX file, both, or neither."""

    card: Card
    engine: UsableEngine | None
    file: Path | EngineError  # verified; or why there is none

    @property
    def is_available(self) -> bool:
        return self.engine is not None or isinstance(self.file, Path)


def model_cards(models: ModelsConfig) -> ModelCards:
    """The cards that `models` names, without a RootNet that was measured to be worse than the size of the box.

    Raises `ConfigError` and `CardError`.
    """
    cards = load(models.catalogue)
    detector, detect = _card(cards, models.detector, "models.detector", "detect", lambda card: card.detect)
    poses = {
        label: _card(cards, name, f"models.pose.{label}", "pose", lambda card: card.pose)
        for label, name in models.pose.items()
    }
    lift = models.lift and _card(cards, models.lift, "models.lift", "lift", lambda card: card.lift)
    root = models.root and _card(cards, models.root, "models.root", "root", lambda card: card.root)
    return ModelCards(
        detector=detector,
        detect=detect,
        poses={label: card for label, (card, _) in poses.items()},
        pose_specs={label: spec for label, (_, spec) in poses.items()},
        lift=lift[0] if lift else None,
        root=root[0] if root and is_surer_than_box(root[1]) else None,
    )


def _card(
    cards: Mapping[str, Card], name: str, key: str, task: str, spec_of: Callable[[Card], Spec | None]
) -> tuple[Card, Spec]:
    """The card of that name and its task's part of it. Raises `ConfigError` for no card, or one of another task."""
    card = cards.get(name)
    spec = spec_of(card) if card else None
    if card is None or spec is None:
        got = "no such card" if card is None else f"a {card.task} model"
        fitting = ", ".join(sorted(other for other, candidate in cards.items() if candidate.task == task))
        raise ConfigError(f"{key} = {name!r}: {got}; want one of {fitting}")
    return card, spec


def resolve(cards: ModelCards, store: ModelStore, engine_of: EngineLookup) -> dict[str, ModelStatus]:
    """The status of each model, by name. Checks files against their hashes; loads nothing."""
    return {card.name: ModelStatus(card=card, engine=engine_of(card), file=_file(store, card)) for card in cards.all}


def _file(store: ModelStore, card: Card) -> Path | EngineError:
    try:
        return store.path(card)
    except EngineError as error:
        return error


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
        log.info("models: %s is not loaded: distances by the size of the box were measured to be surer", models.root)
    if loaded.starter:
        log.info("models: starter weights are for trials; for work: edged models recommend people, horses or stalls")
    return loaded


def frames_at_once(compute: ComputeConfig, cameras: int) -> int:
    """How many frames of that many cameras are computed at once on the CPU: one per core, where cores are shared.

    Source: `python -m tools.cameras`: 1.6 to 1.8 times the frames per second of 2, 4 and 8 cameras, on two busy cores.
    """
    return max(1, min(cameras, cores(compute)))


def cores(compute: ComputeConfig) -> int:
    """How many threads models may have on the CPU, together."""
    return compute.threads or allowed_cpus()


def _cpus(loaded: LoadedModels) -> str:
    """`, 2 threads (2 of 8 CPUs allowed)` where models run on the CPU, and why it is that runtime."""
    if loaded.threads is None:
        return ""
    why = f"; {loaded.cpu.candidate}, {loaded.cpu.reason}" if loaded.cpu and loaded.cpu.reason else ""
    number = f"{loaded.threads} thread{'' if loaded.threads == 1 else 's'}"
    if loaded.frames_at_once > 1:
        number = f"{loaded.frames_at_once} frames at once with {number} each"
    return f", {number} ({allowed_cpus()} of {os.cpu_count()} CPUs allowed){why}"


class Sessions:
    """Opens models with host arrays in and out; keeps what each runs on, or why it cannot be opened.

    Raises the error of the first model that is missing, unless that is allowed.
    """

    def __init__(
        self,
        statuses: Mapping[str, ModelStatus],
        compute: ComputeConfig,
        store: Path,
        *,
        allow_missing: bool,
        cameras: int,
    ) -> None:
        self._statuses, self._compute, self._store, self._allow_missing = statuses, compute, store, allow_missing
        self._cameras = cameras
        self.cpu: CpuChoice | None = None  # chosen for the first model that runs on the CPU
        self.runtime_by_model: dict[str, Runtime] = {}
        self.missing_by_model: dict[str, str] = {}
        self._without_int8: set[str] = set()
        for status in statuses.values():
            if not status.is_available and isinstance(status.file, EngineError):
                self._report(status.card, status.file)

    @property
    def can_share_cores(self) -> bool:
        """Whether frames of several cameras may be computed at once.

        Engines and 3D models belong to one thread, and a request of OpenVINO's is one frame's.
        """
        one_thread = any(status.engine or status.card.lift for status in self._statuses.values())
        return not one_thread and self.cpu is not None and self.cpu.candidate.runtime == "onnxruntime"

    @property
    def frames_at_once(self) -> int:
        return frames_at_once(self._compute, self._cameras) if self.can_share_cores else 1

    @property
    def threads(self) -> int:
        """Of each model on the CPU, for one frame."""
        return cores(self._compute) // self.frames_at_once

    def open(self, card: Card) -> Session | None:
        """The model, running; None: it is missing."""
        if card.name in self.missing_by_model:
            return None
        status = self._statuses[card.name]
        try:
            session = self._engine_session(status) or self._cpu_session(status)
        except (EngineError, ModelMissing) as error:
            self._report(card, error)
            return None
        return session

    def open_lifter(self, cards: ModelCards) -> Lifter | None:
        volume = self.open(cards.lift) if cards.lift else None
        if volume is None:
            return None
        root = self.open(cards.root) if cards.root else None
        return Lifter(VolumeNet(volume), RootNet(root) if root else None)

    def _engine_session(self, status: ModelStatus) -> Session | None:
        try:
            session = status.engine.session() if status.engine else None
        except PlanRefused as refusal:
            log.error("%s; it runs on the CPU instead", refusal)
            return None
        if session is not None:
            self.runtime_by_model[status.card.name] = "tensorrt"
        return session

    def _cpu_session(self, status: ModelStatus) -> Session:
        if isinstance(status.file, EngineError):
            raise status.file
        if self.cpu is None:
            self.cpu = choose(self._compute, list(self._cpu_models()), cores(self._compute), self._store)
        session = open_session(self.cpu.candidate, status.card, self._files(status.card, status.file), self.threads)
        session.warm_up(PREALLOCATED_SUBJECTS)
        self.runtime_by_model[status.card.name] = self.cpu.candidate.runtime
        return session

    def _cpu_models(self) -> Iterator[tuple[Card, ModelFiles]]:
        for status in self._statuses.values():
            if isinstance(status.file, Path):
                yield status.card, self._files(status.card, status.file)

    def _files(self, card: Card, file: Path) -> ModelFiles:
        if cpu_precision(self._compute) != "int8":
            return {"fp32": file}
        try:
            return {"fp32": file, "int8": int8_file(self._store, card, file)}
        except EngineError as lack:
            if card.name not in self._without_int8:
                log.warning("%s; it runs in FP32", lack)
            self._without_int8.add(card.name)
            return {"fp32": file}

    def _report(self, card: Card, error: EngineError | ModelMissing) -> None:
        if not self._allow_missing:
            raise error
        log.error("%s; going on without it", error)
        self.runtime_by_model[card.name], self.missing_by_model[card.name] = "nothing", str(error)


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
        backend = CpuBackend(detector, poses, lifter, frames_at_once=sessions.frames_at_once)
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
