"""What the default models lose on photographs when one of them is computed in another precision."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from edged.inference.cpu.int8_file import int8_file
from engines.card import Card
from tools.evaluate.photographs.__main__ import DETECTOR, POSES
from tools.evaluate.photographs.contenders import Contender, Models
from tools.evaluate.photographs.domains import Picture, domains
from tools.evaluate.photographs.score import run

CLASS_IN = {"people": "person", "horses": "horse"}  # by domain: the class that is counted
OF_DETECTOR, OF_POSE = ("recall", "precision"), ("joints, true boxes", "OKS-AP, true boxes")

Accuracy = dict[str, float]  # by class and figure


class Photographs:
    """The default models on the first photographs of people and of horses, in FP32 and with one of them in INT8."""

    def __init__(self, data: Path, first: int | None) -> None:
        pictures = domains(data)
        self._pictures = {name: pictures[name][:first] for name in CLASS_IN}
        self._fp32: Accuracy = {}

    def lost(self, card: Card, file: Path) -> Accuracy | None:
        """Return how much each figure of a model falls with the card's INT8; None where it is no default model."""
        classes = [label for label, (name, _) in POSES.items() if name == card.name]
        if card.name != DETECTOR[0] and not classes:
            return None
        self._fp32 = self._fp32 or _accuracy(Models(*DETECTOR, POSES), self._pictures)
        with TemporaryDirectory() as folder:
            found = _accuracy(_with(card, int8_file(Path(folder), card, file)), self._pictures)
        kinds = OF_POSE if classes else OF_DETECTOR
        own = [f"{label}: {kind}" for label in classes or CLASS_IN.values() for kind in kinds]
        return {name: self._fp32[name] - found[name] for name in own}


def _with(card: Card, file: Path) -> Models:
    whole = Models(*DETECTOR, POSES)
    if card.name == DETECTOR[0]:
        return replace(whole, file=file)
    return replace(whole, poses={k: (name, file if name == card.name else own) for k, (name, own) in POSES.items()})


def _accuracy(models: Models, pictures: dict[str, list[Picture]]) -> Accuracy:
    contender = Contender(models)
    found: Accuracy = {}
    for domain, label in CLASS_IN.items():
        figures = run(contender, pictures[domain])[label]
        found |= {f"{label}: {kind}": figures[kind] for kind in (*OF_DETECTOR, *OF_POSE)}
    contender.backend.close()
    return found
