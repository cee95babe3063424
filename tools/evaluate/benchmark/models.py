"""The models that can be asked, and what each needs: cards of the catalogue, 3D nets, and references without a net."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from engines.card import Card
from engines.card.schema import SCHEMAS
from engines.catalogue import load
from tools.evaluate.benchmark import estimators
from tools.evaluate.benchmark.estimators import Estimate
from tools.evaluate.benchmark.prepared import Subject, Task

STARTER = Path(__file__).parents[3] / "engines"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One row of the report, run or not."""

    name: str
    task: Task
    subject: Subject
    joints: tuple[str, ...]
    weights: Path  # of the .onnx; may not be there
    get: str  # how a person comes by it
    open: Callable[[Path], Estimate]
    published_m: float | None = None  # parameters, in millions, counted from the published architecture
    absolute: bool = False  # says where the root is; others are told its true depth, as the protocols do

    @property
    def here(self) -> bool:
        return self.weights.is_file()


def models(weights: Path, catalogue: Path | None = None) -> dict[str, Model]:
    """Every model by name; `weights` is the directory for those that the package does not carry, NAME.onnx.

    `catalogue` has cards of one's own. Raises `CardError`.
    """
    cards = load(catalogue).values()
    posed = [_of_card(card, weights) for card in cards if card.pose is not None]
    lifting = [_in_space(card, weights) for card in cards if card.lift is not None or card.root is not None]
    every = [*posed, *lifting, *_flat(posed)]
    return {model.name: model for model in every}


def _of_card(card: Card, weights: Path) -> Model:
    assert card.pose is not None  # noqa: S101 - the caller asked for pose models
    bundled = card.source.bundled
    subject: Subject = "person"
    if card.pose.schema_name.startswith("ap10k"):
        subject = "horse" if "horse" in card.name else "animal"
    return Model(
        name=card.name,
        task="plane",
        subject=subject,
        joints=SCHEMAS[card.pose.schema_name].keypoints,
        weights=STARTER / bundled if bundled else weights / f"{card.name}.onnx",
        get=f"`edged models pull {card.name}`, then point --weights at the models' directory",
        open=partial(estimators.simcc, card),
    )


def _in_space(card: Card, weights: Path) -> Model:
    """A model that answers in mm."""
    source, known = card.source, card.measured.get("parameters_m")
    return Model(
        name=card.name,
        task="space",
        subject="person",
        joints=SCHEMAS[card.lift.schema_name].keypoints if card.lift else ("pelvis",),
        weights=weights / f"{card.name}.onnx",
        get=f"checkpoint by hand from {source.checkpoint or source.page}, then `{source.export}`",
        open=partial(estimators.volume if card.lift else estimators.rootnet, card),
        published_m=None if known is None else float(known),
        absolute=card.root is not None,
    )


def _flat(posed: list[Model]) -> Iterator[Model]:
    """References: a 2D model's keypoints laid flat, what a 3D net has to beat."""
    for model in posed:
        if model.here and "left_hip" in model.joints and model.subject == "person":
            opened = partial(_opened_flat, model)
            name, joints = f"flat-{model.name}", ("pelvis", *model.joints)
            yield replace(model, name=name, task="space", joints=joints, open=opened, absolute=True)


def _opened_flat(model: Model, path: Path) -> Estimate:
    return estimators.flat(model.open(path), model.joints)
