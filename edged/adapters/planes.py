"""The one place that turns the configuration's models into a compute plane and pipelines on it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import cast

from edged import config
from edged.adapters.plane_cpu import CpuPlane
from edged.adapters.session_ort import OrtSession
from edged.errors import ConfigError
from edged.pipeline import Pipeline
from edged.ports import Plane
from engines.card import Card, Detect, Pose
from engines.catalogue import load
from engines.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Engines:
    """The models in use, loaded."""

    plane: Plane
    detect: Detect
    poses: dict[str, Pose]  # by class

    def pipeline(self, camera: config.Camera, *, smooth: bool = True, given: int = 0) -> Pipeline:
        return Pipeline(camera, self.plane, self.detect, self.poses, smooth=smooth, given=given)

    @property
    def sure_from(self) -> dict[str, float]:
        """The score from which a keypoint counts as seen, by schema."""
        return {pose.schema_name: pose.score for pose in self.poses.values()}


def engines_of(models: config.Models, compute: config.Compute) -> Engines:
    """Load the detector and the pose models. Raises `ConfigError`, `EngineError` or `ModelMissing`."""
    if compute.plane == "cuda":
        raise ConfigError("compute.plane = 'cuda': not in this version; want auto or cpu")
    cards, store = load(models.catalogue), Store(models.store, models.mirror)

    def session(card: Card) -> OrtSession:
        return OrtSession(card, store.path(card), compute.threads)

    detector = _card(cards, models.detector, "models.detector", "detect")
    poses = {label: _card(cards, name, f"models.pose.{label}", "pose") for label, name in models.pose.items()}
    poses_said = ", ".join(f"{label} {card.name}" for label, card in poses.items())
    log.info("plane cpu (ONNX Runtime): detector %s, pose %s", detector.name, poses_said or "none")
    return Engines(
        plane=CpuPlane(session(detector), {label: session(card) for label, card in poses.items()}),
        detect=cast(Detect, detector.detect),
        poses={label: cast(Pose, card.pose) for label, card in poses.items()},
    )


def _card(cards: dict[str, Card], name: str, key: str, task: str) -> Card:
    card = cards.get(name)
    if card is None or card.task != task:
        got = "no such card" if card is None else f"a {card.task} model"
        fitting = ", ".join(sorted(other for other, card in cards.items() if card.task == task))
        raise ConfigError(f"{key} = {name!r}: {got}; want one of {fitting}")
    return card
