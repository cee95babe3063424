"""What each model runs on, and what happens when one is missing or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnxruntime", reason="needs ONNX Runtime; install edged[cpu]")

from edged.config.tables.models import ComputeConfig, ModelsConfig
from edged.inference.load_models import load_models, model_cards, resolve
from engines.errors import Missing, PlanRefused
from engines.store.model_store import ModelStore

ABSENT = "rtmdet-nano-person"  # not bundled
CPU = ComputeConfig(backend="cpu")


class RefusedEngine:
    """An engine of another TensorRT version."""

    def session(self) -> Any:
        raise PlanRefused("engine: of another version")

    def engine(self, gpu: Any) -> Any:
        raise PlanRefused("engine: of another version")


def test_bundled_models_are_available_without_engine(tmp_path: Path) -> None:
    cards = model_cards(ModelsConfig(store=tmp_path))
    statuses = resolve(cards, ModelStore(tmp_path), lambda card: None)
    assert list(statuses) == [card.name for card in cards.all]
    assert all(status.is_available and status.engine is None for status in statuses.values())


@pytest.mark.parametrize("has_engine", [False, True])
def test_model_without_file_is_available_only_as_engine(tmp_path: Path, has_engine: bool) -> None:
    cards = model_cards(ModelsConfig(detector=ABSENT, store=tmp_path))
    statuses = resolve(cards, ModelStore(tmp_path), lambda card: RefusedEngine() if has_engine else None)
    assert isinstance(statuses[ABSENT].file, Missing)
    assert statuses[ABSENT].is_available == has_engine


def test_missing_model_raises(tmp_path: Path) -> None:
    with pytest.raises(Missing, match=f"edged models pull {ABSENT}"):
        load_models(ModelsConfig(detector=ABSENT, store=tmp_path), CPU)


def test_missing_detector_leaves_the_cameras(tmp_path: Path) -> None:
    models = load_models(ModelsConfig(detector=ABSENT, store=tmp_path), CPU, allow_missing=True)
    assert models.service_level == "cameras"
    assert models.runtime_by_model[ABSENT] == "nothing"
    assert list(models.missing_by_model) == [ABSENT]


def test_rejected_engines_fall_back_to_onnx_runtime(tmp_path: Path) -> None:
    models = load_models(ModelsConfig(store=tmp_path), CPU, engine_of=lambda card: RefusedEngine())
    models.backend.close()
    assert set(models.runtime_by_model.values()) == {"onnxruntime"}
    assert models.service_level == "poses"


def test_rejected_engine_without_file_is_missing(tmp_path: Path) -> None:
    models = load_models(
        ModelsConfig(detector=ABSENT, store=tmp_path), CPU, allow_missing=True, engine_of=lambda card: RefusedEngine()
    )
    assert list(models.missing_by_model) == [ABSENT]
