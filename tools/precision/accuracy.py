"""What a model loses on data with a truth when it is computed in INT8."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory

from engines.card import Card, Output
from engines.catalogue import load
from engines.prepare import prepare
from tools.evaluate.benchmark.adapters import rendered
from tools.evaluate.benchmark.answers import predict
from tools.evaluate.benchmark.models import models
from tools.evaluate.benchmark.prepared import PreparedDataset
from tools.evaluate.benchmark.score import lower_is_better, score
from tools.evaluate.photographs.__main__ import DETECTOR, POSES
from tools.evaluate.photographs.contenders import Contender, Models
from tools.evaluate.photographs.domains import domains
from tools.evaluate.photographs.score import run
from tools.precision.pictures import CLASS_OF

DOMAIN_OF = {"person": "people", "horse": "horses"}  # by class: the photographs that it is counted in
GYMNASTS = {"lsp-14": "gymnasts (LSP)"}  # by schema: of models that learned from others
OF_DETECTOR, OF_POSE = ("recall", "precision"), ("joints, true boxes", "OKS-AP, true boxes")
IN_SPACE = {"lift": "MPJPE mm", "root": "depth error %"}
MAX_LOSS, MAX_LOSS_MM, MAX_LOSS_PERCENT = 0.01, 2.0, 1.0

Accuracy = dict[str, float]  # by class and figure


class Truth:
    """Photographs, and rendered people in space: the first ones of each kind, or all."""

    def __init__(self, data: Path, first: int | None) -> None:
        self._data, self._first = data, first
        self._pictures = {name: pictures[:first] for name, pictures in domains(data).items()}
        self._fp32: dict[str, Accuracy] = {}

    def lost(self, card: Card, file: Path) -> Accuracy:
        """Return how much worse each figure is with the card's INT8: shares, mm or %, as its name says."""
        if card.name not in self._fp32:
            self._fp32[card.name] = self._figures(card, file, "fp32")
        found = self._figures(card, file, "int8")
        return {
            name: found[name] - was if lower_is_better(name) else was - found[name]
            for name, was in self._fp32[card.name].items()
        }

    def _figures(self, card: Card, file: Path, precision: str) -> Accuracy:
        model = prepare(card, file.read_bytes(), batch=1, precision=precision, io="fp32")  # type: ignore[arg-type]
        tensors = tuple(Output(name=one.name, shape=one.shape) for one in model.outputs)
        cut = card.model_copy(update={"family": model.family, "outputs": tensors})  # before its NMS
        with TemporaryDirectory() as folder:
            path = Path(folder) / f"{card.name}.onnx"
            path.write_bytes(model.onnx)
            if card.task in IN_SPACE:
                return self._in_space(cut, path)
            return self._on_photographs(cut, path)

    def _on_photographs(self, card: Card, path: Path) -> Accuracy:
        if card.detect is not None:
            own = Models(
                card.name, path, {label: pose for label, pose in POSES.items() if label in card.detect.classes}
            )
            places, kinds = {label: DOMAIN_OF[label] for label in own.poses}, OF_DETECTOR
        else:
            assert card.pose is not None  # noqa: S101  # the only task that is left
            label, schema = CLASS_OF[card.pose.schema_name], card.pose.schema_name
            own = Models(*DETECTOR, {**POSES, label: (card.name, path)})
            places, kinds = {label: GYMNASTS.get(schema, DOMAIN_OF[label])}, OF_POSE
        contender = Contender(own, {**load(), card.name: card})
        found: Accuracy = {}
        for label, place in places.items():
            figures = run(contender, self._pictures[place])[label]
            found |= {f"{label}: {kind}": figures[kind] for kind in kinds if isfinite(figures[kind])}
        contender.backend.close()
        return found

    def _in_space(self, card: Card, path: Path) -> Accuracy:
        model, name = replace(models(path.parent)[card.name], weights=path), IN_SPACE[card.task]
        predictions = predict(model, self._portraits, path.with_suffix(".jsonl"), lambda *_: None)
        return {name: score(model, self._portraits, predictions).figures[name]}

    @cached_property
    def _portraits(self) -> PreparedDataset:
        self._rendered = TemporaryDirectory()
        folder = Path(self._rendered.name)
        (folder / "real").symlink_to((self._data / "real").resolve())
        return rendered.portraits(folder)


def too_much(lost: Mapping[str, float]) -> Accuracy:
    """Return the figures that lose more than is `allowed`."""
    return {name: value for name, value in lost.items() if value > allowed(name)}


def allowed(figure: str) -> float:
    """Return how much a figure may lose: a hundredth, 2 mm or 1 %, by the unit in its name."""
    return MAX_LOSS_MM if figure.endswith(" mm") else MAX_LOSS_PERCENT if figure.endswith(" %") else MAX_LOSS
