"""The one place that turns the configuration's models into a compute plane and pipelines on it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

from edged import config
from edged.adapters.lifter import Lifter, RootNet, VolumeNet
from edged.adapters.plane_blind import BlindPlane
from edged.adapters.plane_cpu import CpuPlane, Session
from edged.adapters.session_ort import OrtSession
from edged.errors import ConfigError, ModelMissing
from edged.pipeline import Pipeline
from edged.ports import Plane
from engines.card import Card, Detect, Pose
from engines.catalogue import load
from engines.errors import EngineError, PlanRefused
from engines.store import Store

log = logging.getLogger(__name__)


Served = Literal["tensorrt", "onnxruntime", "nothing"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Engines:
    """The models in use, loaded."""

    plane: Plane
    detect: Detect
    poses: dict[str, Pose]  # by class; a class whose model cannot be had is left out
    lifts: bool  # people into space
    served: dict[str, Served]  # what runs each model
    reasons: dict[str, str]  # why nothing does

    def pipeline(self, camera: config.Camera, *, smooth: bool = True, given: int = 0) -> Pipeline:
        return Pipeline(camera, self.plane, self.detect, self.poses, smooth=smooth, given=given)

    @property
    def sure_from(self) -> dict[str, float]:
        """The score from which a keypoint counts as seen, by schema."""
        return {pose.schema_name: pose.score for pose in self.poses.values()}

    @property
    def serving(self) -> Literal["poses", "boxes", "cameras"]:
        """What is left, in the order in which it is given up."""
        if isinstance(self.plane, BlindPlane):
            return "cameras"
        return "poses" if self.poses else "boxes"


def engines_of(
    models: config.Models,
    compute: config.Compute,
    *,
    spare: bool = False,
    tensorrt: Callable[[Card], Session | None] = lambda card: None,
) -> Engines:
    """Load the detector and the pose models, each from `tensorrt` where it gives one, else on ONNX Runtime.

    With `spare` a model that cannot be had is done without, and said to be: no poses of a class, or no detector at
    all. Raises `ConfigError`; without `spare` also `EngineError` and `ModelMissing`.
    """
    if compute.plane == "cuda":
        raise ConfigError("compute.plane = 'cuda': not in this version; want auto or cpu")
    used = cards_in_use(models)
    store = Store(models.store, models.mirror)
    served: dict[str, Served] = {}
    reasons: dict[str, str] = {}

    def engine(card: Card) -> Session | None:
        try:
            return tensorrt(card)
        except PlanRefused as refusal:
            log.error("%s; it runs on ONNX Runtime instead", refusal)
            return None

    def session(card: Card) -> Session | None:
        try:
            made = engine(card) or OrtSession(card, store.path(card), compute.threads)
        except (EngineError, ModelMissing) as missing:
            if not spare:
                raise
            log.error("%s; going on without it", missing)
            served[card.name], reasons[card.name] = "nothing", str(missing)
            return None
        served[card.name] = "onnxruntime" if isinstance(made, OrtSession) else "tensorrt"
        return made

    def lifter() -> Lifter | None:
        volume = session(used.lift) if used.lift else None
        if volume is None:
            return None
        root = session(used.root) if used.root else None
        return Lifter(VolumeNet(volume), RootNet(root) if root else None)

    eye = session(used.detector)
    found = {label: made for label, card in used.poses.items() if (made := session(card)) is not None}
    lift = lifter()
    detect = cast(Detect, used.detector.detect)
    log.info("models: %s", ", ".join(f"{name} on {by}" for name, by in served.items()))
    return Engines(
        plane=CpuPlane(eye, found, lift) if eye is not None else BlindPlane(detect.classes),
        detect=detect,
        poses={label: cast(Pose, made.card.pose) for label, made in found.items()},
        lifts=lift is not None,
        served=served,
        reasons=reasons,
    )


class InUse(NamedTuple):
    """The cards that a configuration names."""

    detector: Card
    poses: dict[str, Card]  # by class
    lift: Card | None
    root: Card | None

    @property
    def all(self) -> tuple[Card, ...]:
        return tuple(card for card in (self.detector, *self.poses.values(), self.lift, self.root) if card is not None)


def cards_in_use(models: config.Models) -> InUse:
    """Raises `ConfigError` and `CardError`."""
    cards = load(models.catalogue)
    return InUse(
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
