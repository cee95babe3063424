"""The models that can be asked, and what each needs: cards of the catalogue, 3D nets, and references without a net."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from engines.card import Card
from engines.catalogue import load
from engines.schema import SCHEMAS
from tools.evaluate.benchmark import estimators
from tools.evaluate.benchmark.adapters import human36m, mupots
from tools.evaluate.benchmark.estimators import Estimate, Net
from tools.evaluate.benchmark.prepared import Subject, Task

STARTER = Path(__file__).parents[3] / "engines"
H36M18 = (*human36m.JOINTS, "thorax")
MUCO21 = (*mupots.JOINTS, "right_hand", "left_hand", "right_toe", "left_toe")


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


def models(weights: Path) -> dict[str, Model]:
    """Every model by name; `weights` is the directory for those that the package does not carry, NAME.onnx."""
    posed = [_of_card(card, weights) for card in load().values() if card.pose is not None]
    every = [*posed, *_nets(weights), *_flat(posed)]
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


DRIVE = "https://drive.google.com/drive/folders/"
_CNX = f"checkpoint by hand from {DRIVE}12H7zkLvmJtrkCmAUAPkQ6788WAnO60gI, then `python -m tools.export`"
_ROOT = f"checkpoint by hand from {DRIVE}1oGXqscxZpakld6j4Lj4hEDy8DCnh9cAs, then `python -m tools.export`"
_MHP = f"checkpoint by hand from {DRIVE}146ZFPZyFyRQejB8CBYZ_R26NEXEO4EjI, then `python -m tools.export`"
_IHP = "checkpoint by hand from the README of JimmySuen/integral-human-pose, then `python -m tools.export`"
_SMALL, _FINE = Net(bins_whd=(32, 32, 32)), Net(bins_whd=(64, 64, 64))
_WIDE = Net(wh=(288, 384), bins_whd=(72, 96, 72), span_mm=1485.0)
_NETS = (
    ("convnextpose-xs", H36M18, _SMALL, _CNX, 3.528),
    ("convnextpose-s", H36M18, _SMALL, _CNX, 7.439),
    ("convnextpose-m", H36M18, _FINE, _CNX, 7.587),
    ("convnextpose-l", H36M18, _FINE, _CNX, 8.380),
    ("mobilehumanpose", H36M18, _SMALL, _MHP, 3.500),
    ("mobilehumanpose-muco", MUCO21, _SMALL, _MHP, 3.525),
    ("integral-r50", H36M18, _FINE, _IHP, 34.29),
    ("integral-r152", H36M18, _WIDE, _IHP, 68.96),
)


def _nets(weights: Path) -> Iterator[Model]:
    for name, joints, net, get, published_m in _NETS:
        opened = partial(estimators.volume, net)
        yield _in_space(name, joints, weights / f"{name}.onnx", get, open=opened, published_m=published_m)
    yield _in_space(
        "rootnet",
        ("pelvis",),
        weights / "rootnet.onnx",
        _ROOT,
        open=estimators.rootnet,
        published_m=33.998,
        absolute=True,
    )


def _in_space(name: str, joints: tuple[str, ...], weights: Path, get: str, **more: Any) -> Model:
    """A model that answers in mm."""
    return Model(name=name, task="space", subject="person", joints=joints, weights=weights, get=get, **more)


def _flat(posed: list[Model]) -> Iterator[Model]:
    """References: a 2D model's keypoints laid flat, what a 3D net has to beat."""
    for model in posed:
        if model.here and "left_hip" in model.joints and model.subject == "person":
            opened = partial(_opened_flat, model)
            joints = ("pelvis", *model.joints)
            yield _in_space(f"flat-{model.name}", joints, model.weights, model.get, open=opened, absolute=True)


def _opened_flat(model: Model, path: Path) -> Estimate:
    return estimators.flat(model.open(path), model.joints)
