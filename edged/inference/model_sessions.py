"""Models opened with host arrays in and out, each on what there is for it; and what is missing."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from edged.config.tables.models import ComputeConfig
from edged.errors import ModelMissing
from edged.inference.cpu.backend import PREALLOCATED_SUBJECTS
from edged.inference.cpu.choose import CpuChoice, choose, cpu_precision
from edged.inference.cpu.int8_file import int8_file
from edged.inference.cpu.pose3d import RootNet, VolumeNet
from edged.inference.cpu.runtimes import CpuSession, ModelFiles, open_session
from edged.inference.cuda.context import Gpu
from edged.inference.cuda.engine import Engine
from edged.inference.model_cards import ModelCards
from edged.inference.pose3d.lifter import Lifter
from edged.inference.session import Session
from edged.runtime.allocator import return_free_pages
from edged.runtime.cpus import allowed_cpus
from engines.card import Card
from engines.errors import EngineError, PlanRefused
from engines.store.model_store import ModelStore

log = logging.getLogger(__name__)

Runtime = Literal["tensorrt", "onnxruntime", "openvino", "nothing"]


class UsableEngine(Protocol):
    """A TensorRT engine that passed its self-test. Both methods raise `PlanRefused`. Thread: the one that asks."""

    def session(self) -> Session:
        """The engine alone: host arrays in and out."""

    def engine(self, gpu: Gpu) -> Engine:
        """The engine as a part of the CUDA backend."""


EngineLookup = Callable[[Card], UsableEngine | None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelStatus:
    """What there is to run one model with: a TensorRT engine, the ONNX file, both, or neither."""

    card: Card
    engine: UsableEngine | None
    file: Path | EngineError  # verified; or why there is none

    @property
    def is_available(self) -> bool:
        return self.engine is not None or isinstance(self.file, Path)


def resolve(cards: ModelCards, store: ModelStore, engine_of: EngineLookup) -> dict[str, ModelStatus]:
    """The status of each model, by name. Checks files against their hashes; loads nothing."""
    return {card.name: ModelStatus(card=card, engine=engine_of(card), file=_file(store, card)) for card in cards.all}


def _file(store: ModelStore, card: Card) -> Path | EngineError:
    try:
        return store.path(card)
    except EngineError as error:
        return error


def frames_at_once(compute: ComputeConfig, cameras: int) -> int:
    """How many frames of that many cameras are computed at once on the CPU: one per core, where cores are shared.

    Source: `python -m tools.cameras`: 1.6 to 1.8 times the frames per second of 2, 4 and 8 cameras, on two busy cores.
    """
    return max(1, min(cameras, cores(compute)))


def cores(compute: ComputeConfig) -> int:
    """How many threads models may have on the CPU, together."""
    return compute.threads or allowed_cpus()


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
        self._cold: deque[CpuSession] = deque()  # to be warmed up
        for status in statuses.values():
            if not status.is_available and isinstance(status.file, EngineError):
                self._report(status.card, status.file)

    @property
    def can_share_cores(self) -> bool:
        """Whether frames of several cameras may be computed at once: engines and 3D models belong to one thread."""
        return not any(status.engine or status.card.lift for status in self._statuses.values())

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

    def warm_up_next(self) -> bool:
        """Have a model on the CPU take the memory of a frame with several subjects; return whether others have not."""
        if self._cold:
            self._cold.popleft().warm_up(PREALLOCATED_SUBJECTS)
        return bool(self._cold)

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
            self.cpu = choose(self._compute, list(self._cpu_models()), self.threads, self._store)
        files = self._files(status.card, status.file)
        session = open_session(self.cpu.candidate, status.card, files, self.threads, self.frames_at_once)
        return_free_pages()  # a tenth of the process, in which the library read and optimised the model
        self._cold.append(session)
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
