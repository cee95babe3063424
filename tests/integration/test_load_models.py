"""What each model runs on, and what happens when one is missing or refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs ONNX Runtime; install edged[cpu]")

from edged.config.tables.models import ComputeConfig, ModelsConfig
from edged.inference.cpu.int8_file import int8_file
from edged.inference.cpu.runtimes import Candidate, open_session
from edged.inference.load_models import load_models
from edged.inference.model_cards import model_cards
from edged.inference.model_sessions import resolve
from engines.catalogue import load
from engines.errors import Missing, PlanRefused
from engines.golden import golden_inputs
from engines.store.model_store import ModelStore
from tests.support.int8 import with_int8

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


@pytest.mark.parametrize(
    ("threads", "cameras", "at_once", "each"), [(1, 2, 1, 1), (4, 1, 1, 4), (4, 2, 2, 2), (2, 8, 2, 1)]
)
def test_cameras_share_the_cores(tmp_path: Path, threads: int, cameras: int, at_once: int, each: int) -> None:
    compute = ComputeConfig(backend="cpu", cpu_runtime="onnxruntime", threads=threads)
    models = load_models(ModelsConfig(store=tmp_path), compute, cameras=cameras)
    models.backend.close()
    assert (models.backend_info["frames_at_once"], models.backend_info["threads"]) == (at_once, each)
    assert not models.shares_cores_otherwise(compute, cameras)
    assert models.shares_cores_otherwise(compute, 1 if cameras > 1 else 2) == (threads > 1)


@pytest.mark.parametrize(
    ("lacking", "engine", "threads"),
    [
        ({}, RefusedEngine(), 2),  # an engine's session, refused or not, belongs to the thread that made it
        ({"lift": "integral-r50"}, None, 2),  # 3D models, missing or not
        ({"detector": ABSENT}, None, None),
    ],
    ids=["engine", "lift", "no-detector"],
)
def test_models_of_one_thread_leave_one_frame_at_once_whatever_is_missing(
    tmp_path: Path, lacking: dict[str, str], engine: Any, threads: int | None
) -> None:
    """They are not loaded again for it at each reload either."""
    compute = ComputeConfig(backend="cpu", cpu_runtime="onnxruntime", threads=2)
    models = load_models(
        ModelsConfig(store=tmp_path, **lacking), compute, engine_of=lambda _: engine, cameras=2, allow_missing=True
    )
    models.backend.close()
    assert (models.frames_at_once, models.threads) == (1, threads)
    assert not models.shares_cores_otherwise(compute, 2)


def test_info_of_the_gpu_has_how_it_reads_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gpu:
        frame_access, uses_graphs = "mapped", True

    monkeypatch.setattr("edged.inference.load_models.CudaBackend", Gpu)
    absent = load_models(ModelsConfig(detector=ABSENT, store=tmp_path), CPU, allow_missing=True)
    models = replace(absent, backend=Gpu())  # type: ignore[arg-type]
    assert models.backend_info == {"backend": "cuda", "frame_access": "mapped", "cuda_graphs": True}


def test_rejected_engine_without_file_is_missing(tmp_path: Path) -> None:
    models = load_models(
        ModelsConfig(detector=ABSENT, store=tmp_path), CPU, allow_missing=True, engine_of=lambda card: RefusedEngine()
    )
    assert list(models.missing_by_model) == [ABSENT]


def test_int8_that_no_card_has_leaves_fp32_without_a_trial(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    compute = ComputeConfig(backend="cpu", cpu_runtime="onnxruntime", precision="int8")
    models = load_models(ModelsConfig(store=tmp_path, catalogue=None), compute)
    models.backend.close()
    without = [card.name for card in model_cards(ModelsConfig()).all if card.int8 is None]
    for name in without:
        assert f"model {name}: no INT8 of it was measured; it runs in FP32" in caplog.messages
    if len(without) == len(models.runtime_by_model):
        assert models.backend_info["cpu_precision"] == "fp32"
        assert not (tmp_path / "cpu-runtime.json").exists()


def test_int8_file_is_made_once_and_runs(tmp_path: Path) -> None:
    plain = load()["rtmpose-t-lsp14"]
    file = ModelStore(tmp_path).path(plain)
    card = with_int8(plain, file.read_bytes())
    made = int8_file(tmp_path, card, file)
    written_ns = made.stat().st_mtime_ns
    assert int8_file(tmp_path, card, file).stat().st_mtime_ns == written_ns
    assert int8_file(tmp_path, with_int8(plain, file.read_bytes(), limit=5.0), file) != made
    session = open_session(Candidate("onnxruntime", "int8"), card, {"fp32": file, "int8": made}, 1)
    tensor = golden_inputs(card)[0]
    whole = open_session(Candidate("onnxruntime", "fp32"), card, {"fp32": file, "int8": made}, 1)
    assert np.abs(session.run(tensor)[0] - whole.run(tensor)[0]).max() > 0
    assert list(tmp_path.glob("int8/*.part")) == []
