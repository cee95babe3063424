"""Which models to choose: what each knows, and a pair for a purpose and a machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from edged.config.toml_text import toml_value
from engines.card import Card
from engines.card.schema import SCHEMAS

Subject = Literal["people", "horses", "stalls"]  # stalls: horses, and the people who come in
Machine = Literal["board", "cpu"]
Goal = Literal["speed", "accuracy"]

GROUPS = {
    "starter": "In the package: for trials",
    "detect": "Detectors",
    "person": "Poses of people",
    "animal": "Poses of horses and other four-legged animals",
    "space": "People in 3D",
    "own": "Files of your own: `edged models import`",
}
MAX_CLASSES_NAMED = 4
IN_SPACE = (
    "  In 3D: `lift = true` on a camera takes the starter pair, for trials; for work convnextpose-s with rootnet,\n"
    "  whose files are made by hand: engines/README.md"
)
ANIMAL_SCHEMAS = ("ap10k-17",)


class Choice(NamedTuple):
    """A detector, a pose model by class, and what to expect of them."""

    detector: str
    pose: Mapping[str, str]
    frames_hz: int  # with one subject in view


@dataclass(frozen=True, slots=True)
class Purpose:
    """What models are wanted for."""

    subject: Subject
    machine: Machine
    goal: Goal

    def __str__(self) -> str:
        machine = "a Jetson (Orin NX)" if self.machine == "board" else "the CPU of a PC (two cores)"
        return f"{self.subject} on {machine}, for {self.goal}"


PEOPLE_S, PEOPLE_M, HORSES_M = "rtmpose-s-body17", "rtmpose-m-body17", "rtmpose-m-ap10k"
# Rates are estimates, rounded down. Board: published latencies with TensorRT in FP16 on an Orin NX, of these nets or of
# nets with as many operations, and 4 ms for everything else. CPU: the operations of both nets at 100 GFLOP/s.
CHOICES: dict[Purpose, Choice] = {
    Purpose("people", "board", "speed"): Choice("rtmdet-nano-person", {"person": PEOPLE_S}, 100),
    Purpose("people", "board", "accuracy"): Choice("rtmdet-m-person", {"person": PEOPLE_M}, 40),
    Purpose("people", "cpu", "speed"): Choice("rtmdet-nano-person", {"person": PEOPLE_S}, 30),
    Purpose("people", "cpu", "accuracy"): Choice("yolox-s-coco", {"person": PEOPLE_M}, 3),
    Purpose("horses", "board", "speed"): Choice("yolox-tiny-coco", {"horse": HORSES_M}, 80),
    Purpose("horses", "board", "accuracy"): Choice("yolox-m-coco", {"horse": HORSES_M}, 40),
    Purpose("horses", "cpu", "speed"): Choice("yolox-tiny-coco", {"horse": HORSES_M}, 8),
    Purpose("horses", "cpu", "accuracy"): Choice("yolox-s-coco", {"horse": HORSES_M}, 3),
    Purpose("stalls", "board", "speed"): Choice("yolox-s-coco", {"horse": HORSES_M, "person": PEOPLE_S}, 60),
    Purpose("stalls", "board", "accuracy"): Choice("yolox-m-coco", {"horse": HORSES_M, "person": PEOPLE_M}, 40),
    Purpose("stalls", "cpu", "speed"): Choice("yolox-tiny-coco", {"horse": HORSES_M, "person": PEOPLE_S}, 8),
    Purpose("stalls", "cpu", "accuracy"): Choice("yolox-s-coco", {"horse": HORSES_M, "person": PEOPLE_M}, 3),
}
# Sizes of the files in MB: four bytes for each published parameter.
SIZES_MB = {
    "rtmdet-nano-person": 4,
    "rtmdet-m-person": 99,
    "yolox-tiny-coco": 20,
    "yolox-s-coco": 36,
    "yolox-m-coco": 101,
    PEOPLE_S: 22,
    PEOPLE_M: 54,
    HORSES_M: 54,
}


def group(card: Card) -> str:
    """The key in GROUPS of a card's group."""
    if card.source.bundled:
        return "starter"
    if card.name.startswith("own-"):
        return "own"
    if card.task == "pose":
        return "animal" if card.pose and card.pose.schema_name in ANIMAL_SCHEMAS else "person"
    return "detect" if card.task == "detect" else "space"


def knows(card: Card) -> str:
    """The classes that a detector finds, or the keypoints that a pose model gives."""
    if card.detect is not None:
        classes = card.detect.classes
        if len(classes) <= MAX_CLASSES_NAMED:
            return ", ".join(classes)
        return f"{len(classes)} classes" + (", person and horse too" if {"person", "horse"} <= set(classes) else "")
    table = card.pose or card.lift
    return "distance" if table is None else f"{len(SCHEMAS[table.schema_name])} keypoints, {table.schema_name}"


def configuration(choice: Choice, store: Path | None = None) -> str:
    """The lines of the configuration that use these models, which lie in `store`; None: where they do by default."""
    pose = ", ".join(f'{label} = "{name}"' for label, name in choice.pose.items())
    place = f"\nstore = {toml_value(str(store.resolve()))}" if store else ""
    return f'[models]\ndetector = "{choice.detector}"\npose = {{ {pose} }}{place}'


def describe_choice(purpose: Purpose, cards: Mapping[str, Card], store: Path | None = None) -> str:
    """The models for a purpose: sizes, what they know, what rate to expect, and the lines of the configuration."""
    choice = CHOICES[purpose]
    names = [choice.detector, *choice.pose.values()]
    width = max(map(len, names))
    models = [f"  {name:{width}}  {SIZES_MB[name]:3} MB  {knows(cards[name])}" for name in names]
    terms = [f"  {name}: {cards[name].licence}" for name in names if cards[name].licence != "Apache-2.0"]
    return "\n".join([
        f"For {purpose}:",
        *models,
        f"  about {choice.frames_hz} frames/s with one subject in view (estimated, not measured)",
        *(["Licences to be read first:", *terms] if terms else []),
        *([IN_SPACE] if purpose.subject == "people" else []),
        "\nIn the configuration:\n",
        configuration(choice, store),
    ])  # fmt: skip
