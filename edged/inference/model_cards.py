"""The cards of the models that a configuration names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

from edged.config.tables.models import ModelsConfig
from edged.errors import ConfigError
from edged.inference.pose3d.projection import is_surer_than_box
from engines.card import Card, Detect, Pose
from engines.catalogue import load

Spec = TypeVar("Spec")


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
