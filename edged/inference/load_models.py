"""The one place that turns the configuration's models into a compute plane and pipelines on it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple, Protocol, cast

from edged.config.tables.camera import CameraConfig
from edged.config.tables.models import ComputeConfig, ModelsConfig
from edged.errors import ConfigError, ModelMissing
from edged.inference.backend import PoseBackend
from edged.inference.cpu.backend import PREALLOCATED_SUBJECTS, CpuBackend, Session
from edged.inference.cpu.null import NullBackend
from edged.inference.cpu.onnxruntime import OrtSession
from edged.inference.cuda import engine_ort
from edged.inference.cuda.backend import CudaBackend
from edged.inference.cuda.context import Gpu
from edged.inference.cuda.engine import Engine
from edged.inference.cuda.open import EngineFactory, open_backend, unavailable_reason
from edged.inference.pose3d.lifter import Lifter, RootNet, VolumeNet
from edged.pipeline import Pipeline
from engines.card import Card, Detect, Pose
from engines.catalogue import load
from engines.errors import EngineError, PlanRefused
from engines.store.model_store import ModelStore

log = logging.getLogger(__name__)


Runtime = Literal["tensorrt", "onnxruntime", "nothing"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedModels:
    """The models in use, loaded."""

    backend: PoseBackend
    detector: Detect
    poses: dict[str, Pose]  # by class; a class whose model cannot be had is left out
    has_lift: bool  # people into space
    runtime_by_model: dict[str, Runtime]  # what runs each model
    missing_by_model: dict[str, str]  # why nothing does

    def pipeline(self, camera: CameraConfig, *, smooth: bool = True, last_id: int = 0) -> Pipeline:
        return Pipeline(camera, self.backend, self.detector, self.poses, smooth=smooth, last_id=last_id)

    @property
    def keypoint_thresholds(self) -> dict[str, float]:
        """The score from which a keypoint counts as seen, by schema."""
        return {pose.schema_name: pose.score for pose in self.poses.values()}

    @property
    def backend_info(self) -> dict[str, Any]:
        """Where frames become keypoints, and how they get there, for `info` and `health`."""
        if not isinstance(self.backend, CudaBackend):
            return {"plane": "cpu"}
        return {"plane": "cuda", "frames": self.backend.frame_access, "graphs": self.backend.uses_graphs}

    @property
    def service_level(self) -> Literal["poses", "boxes", "cameras"]:
        """What is left, in the order in which it is given up."""
        if isinstance(self.backend, NullBackend):
            return "cameras"
        return "poses" if self.poses else "boxes"


class UsableEngine(Protocol):
    """A TensorRT engine that may be used. Both raise `PlanRefused`, and belong to the thread that asks."""

    def session(self) -> Session:
        """It alone, host arrays in and out."""

    def engine(self, gpu: Gpu) -> Engine:
        """It as a part of the CUDA plane."""


EngineLookup = Callable[[Card], UsableEngine | None]


def load_models(
    models: ModelsConfig,
    compute: ComputeConfig,
    *,
    allow_missing: bool = False,
    engine_of: EngineLookup = lambda card: None,
) -> LoadedModels:
    """Load the models in use, each as the engine that `engine_of` gives, else on ONNX Runtime.

    Once all but the 3D ones can run on the GPU, frames stay there from the camera to the keypoints. With `allow_missing` a
    model that cannot be had is done without, and said to be: no poses of a class, or no detector at all.
    Raises `ConfigError`; without `allow_missing` also `EngineError` and `ModelMissing`.
    """
    lack = unavailable_reason() if compute.plane != "cpu" else "not wanted"
    if compute.plane == "cuda" and lack:
        raise ConfigError(f"compute.plane = 'cuda': {lack}; or write auto")
    loading = _Loading(
        model_cards(models), ModelStore(models.store, models.mirror), compute.threads, engine_of, spare=allow_missing
    )
    engines = (None if lack else loading.on_gpu()) or loading.on_host()
    log.info("models: %s", ", ".join(f"{name} on {by}" for name, by in engines.runtime_by_model.items()))
    return engines


class _Loading:
    """What becomes of each model."""

    def __init__(self, used: ModelCards, store: ModelStore, threads: int, forged: EngineLookup, *, spare: bool) -> None:
        self._used, self._store, self._threads, self._forged, self._spare = used, store, threads, forged, spare
        self._served: dict[str, Runtime] = {}
        self._reasons: dict[str, str] = {}

    def on_gpu(self) -> LoadedModels | None:
        """On the CUDA plane; None while a model has no engine, or where one cannot be part of it."""
        poses = {label: card for label, card in self._used.poses.items() if self._there(card)}
        makers = {card.name: self._maker(card) for card in (self._used.detector, *poses.values())}
        if not all(makers.values()):
            return None
        deep = self._deep()
        lift = None if deep else self._lifter()
        try:
            plane = open_backend(
                cast(EngineFactory, makers[self._used.detector.name]),
                {label: cast(EngineFactory, makers[card.name]) for label, card in poses.items()},
                deep,
                lift,
            )
        except (EngineError, ModelMissing) as refusal:
            log.error("the CUDA plane: %s; frames go over the host instead", refusal)
            if lift is not None:
                lift.close()
            return None
        lifting = [card for card in (self._used.lift, self._used.root) if deep and card]
        for card in (self._used.detector, *poses.values(), *lifting):
            self._served[card.name] = "tensorrt" if self._forged(card) else "onnxruntime"
        bodies = {label: cast(Pose, card.pose) for label, card in poses.items()}
        return self._engines(plane, bodies, lifts=deep is not None or lift is not None)

    def on_host(self) -> LoadedModels:
        eye = self._session(self._used.detector)
        poses = {label: made for label, card in self._used.poses.items() if (made := self._session(card)) is not None}
        lift = self._lifter()
        plane = CpuBackend(eye, poses, lift) if eye is not None else NullBackend(self._detect.classes)
        bodies = {label: cast(Pose, made.card.pose) for label, made in poses.items()}
        return self._engines(plane, bodies, lifts=lift is not None)

    def _engines(self, plane: PoseBackend, poses: dict[str, Pose], *, lifts: bool) -> LoadedModels:
        return LoadedModels(
            backend=plane,
            detector=self._detect,
            poses=poses,
            has_lift=lifts,
            runtime_by_model=self._served,
            missing_by_model=self._reasons,
        )

    @property
    def _detect(self) -> Detect:
        return cast(Detect, self._used.detector.detect)

    def _deep(self) -> tuple[EngineFactory, EngineFactory | None] | None:
        """The engines of the 3D models, once every one that is in use has one."""
        volume, root = (self._forged(card) if card else None for card in (self._used.lift, self._used.root))
        if volume is None or (self._used.root is not None and root is None):
            return None
        return volume.engine, root.engine if root else None

    def _there(self, card: Card) -> bool:
        """Whether the model can be had at all. Its absence is told by `_session`."""
        try:
            self._store.path(card)
        except EngineError:
            return self._session(card) is not None
        return True

    def _maker(self, card: Card) -> EngineFactory | None:
        if made := self._forged(card):
            return made.engine
        if not engine_ort.is_available():
            return None
        return partial(engine_ort.open_engine, card, self._store.path(card))

    def _session(self, card: Card) -> Session | None:
        if card.name in self._reasons:  # it was looked for before, and that was told
            return None
        try:
            made = self._engine_alone(card) or self._on_ort(card)
        except (EngineError, ModelMissing) as absent:
            if not self._spare:
                raise
            log.error("%s; going on without it", absent)
            self._served[card.name], self._reasons[card.name] = "nothing", str(absent)
            return None
        self._served[card.name] = "onnxruntime" if isinstance(made, OrtSession) else "tensorrt"
        return made

    def _on_ort(self, card: Card) -> Session:
        made = OrtSession(card, self._store.path(card), self._threads)
        made.warm_up(PREALLOCATED_SUBJECTS)
        return made

    def _engine_alone(self, card: Card) -> Session | None:
        try:
            return made.session() if (made := self._forged(card)) else None
        except PlanRefused as refusal:
            log.error("%s; it runs on ONNX Runtime instead", refusal)
            return None

    def _lifter(self) -> Lifter | None:
        volume = self._session(self._used.lift) if self._used.lift else None
        if volume is None:
            return None
        root = self._session(self._used.root) if self._used.root else None
        return Lifter(VolumeNet(volume), RootNet(root) if root else None)


class ModelCards(NamedTuple):
    """The cards that a configuration names."""

    detector: Card
    poses: dict[str, Card]  # by class
    lift: Card | None
    root: Card | None

    @property
    def all(self) -> tuple[Card, ...]:
        return tuple(card for card in (self.detector, *self.poses.values(), self.lift, self.root) if card is not None)


def model_cards(models: ModelsConfig) -> ModelCards:
    """Raises `ConfigError` and `CardError`."""
    cards = load(models.catalogue)
    return ModelCards(
        detector=_card(cards, models.detector, "models.detector", "detect"),
        poses={label: _card(cards, name, f"models.pose.{label}", "pose") for label, name in models.pose.items()},
        lift=None if models.lift is None else _card(cards, models.lift, "models.lift", "lift"),
        root=None if models.root is None else _card(cards, models.root, "models.root", "root"),
    )


def _card(cards: dict[str, Card], name: str, key: str, task: str) -> Card:
    card = cards.get(name)
    if card is None or card.task != task:
        got = "no such card" if card is None else f"a {card.task} model"
        fitting = ", ".join(sorted(other for other, known in cards.items() if known.task == task))
        raise ConfigError(f"{key} = {name!r}: {got}; want one of {fitting}")
    return card
