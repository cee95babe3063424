"""The models of the benchmark: cards of the catalogue, 3D nets, and baselines without a net."""

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
    """One row of the report; its weights may be missing."""

    name: str
    task: Task
    subject: Subject
    joints: tuple[str, ...]
    weights: Path  # of the .onnx file, which may not exist
    how_to_get: str  # how to obtain the weights
    open: Callable[[Path], Estimate]
    published_m: float | None = None  # parameters, in millions, counted from the published architecture
    absolute: bool = False  # predicts where the root is; other nets get its true depth, as the protocols do

    @property
    def has_weights(self) -> bool:
        return self.weights.is_file()


def models(weights: Path, catalogue: Path | None = None) -> dict[str, Model]:
    """Return every model by name; `weights` is the directory of NAME.onnx for models that the package does not contain.

    `catalogue` is a directory of additional cards. Raises `CardError`.
    """
    cards = load(catalogue).values()
    posed = [_model_2d(card, weights) for card in cards if card.pose is not None]
    lifting = [_model_3d(card, weights) for card in cards if card.lift is not None or card.root is not None]
    every = [*posed, *lifting, *_flat_references(posed)]
    return {model.name: model for model in every}


def _model_2d(card: Card, weights: Path) -> Model:
    assert card.pose is not None  # noqa: S101  # the caller selects pose models
    bundled = card.source.bundled
    subject: Subject = "person"
    if card.pose.schema_name.startswith("ap10k"):
        subject = "horse" if "horse" in card.name else "animal"
    return Model(
        name=card.name,
        task="2d",
        subject=subject,
        joints=SCHEMAS[card.pose.schema_name].keypoints,
        weights=STARTER / bundled if bundled else weights / f"{card.name}.onnx",
        how_to_get=f"`edged models pull {card.name}`, then point --weights at the models' directory",
        open=partial(estimators.simcc, card),
    )


def _model_3d(card: Card, weights: Path) -> Model:
    """Return a model with results in mm."""
    source, known = card.source, card.measured.get("parameters_m")
    bundled = source.bundled
    return Model(
        name=card.name,
        task="3d",
        subject="person",
        joints=SCHEMAS[card.lift.schema_name].keypoints if card.lift else ("pelvis",),
        weights=STARTER / bundled if bundled else weights / f"{card.name}.onnx",
        how_to_get=f"checkpoint by hand from {source.checkpoint or source.page}, then `{source.export}`",
        open=partial(estimators.volume if card.lift else estimators.rootnet, card),
        published_m=None if known is None else float(known),
        absolute=card.root is not None,
    )


def _flat_references(posed: list[Model]) -> Iterator[Model]:
    """Yield the baselines of 3D nets: 2D keypoints, all at one depth."""
    for model in posed:
        if model.has_weights and "left_hip" in model.joints and model.subject == "person":
            opened = partial(_open_flat, model)
            name, joints = f"flat-{model.name}", ("pelvis", *model.joints)
            yield replace(model, name=name, task="3d", joints=joints, open=opened, absolute=True)


def _open_flat(model: Model, path: Path) -> Estimate:
    return estimators.flat(model.open(path), model.joints)
