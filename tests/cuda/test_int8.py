"""INT8 on the CUDA backend: engines of the models that pass in it, FP16 of the others, and the report's figures.

TensorRT is a stand-in whose plans are ONNX files; preparation, proof, store and backend are real.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edged.config.tables.models import ComputeConfig, ModelsConfig
from edged.frame import Boxes, Frame
from edged.inference.cpu.backend import CpuBackend
from edged.inference.cpu.int8_file import int8_file
from edged.inference.cpu.onnxruntime import OrtSession
from edged.inference.cuda import engine_trt, kernels
from edged.inference.cuda.backend import CudaBackend
from edged.inference.engine_builder import BuiltEngine, trt_session
from edged.inference.engine_builds import EngineBuildService
from edged.inference.load_models import load_models
from engines.build.service import BuildJob, EngineBuilder
from engines.card import Card, Precision, Tolerance
from engines.catalogue import load
from engines.store.engine_store import StoredEngine
from tests.cuda.emulated import IMAGE, Emulated
from tests.cuda.makers import clip
from tests.cuda.stand_in import TensorRT
from tests.support.engine_builds import OnnxAsPlan, onnx_builder
from tools.bench.contenders import model_path
from tools.cuda import figures, tensorrt
from tools.cuda.figures import Effort

SURE = 0.3  # weaker boxes depend in INT8 on how a pixel was rounded
DETECTOR, PERSON, HORSE = "det-person-horse", "rtmpose-t-coco17", "rtmpose-t-ap10k-horse"


@pytest.fixture
def builder(
    emulated: Emulated, driver: ctypes.CDLL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[EngineBuilder]:
    left = emulated("alive"), emulated("registered")
    process = OnnxAsPlan(tmp_path / "parts")
    monkeypatch.setattr(engine_trt, "find", lambda flavour: SimpleNamespace(api=TensorRT(driver, process.built)))
    monkeypatch.setattr(kernels, "compiled_kernels", lambda: IMAGE)
    monkeypatch.setattr("edged.inference.cuda.open.compiled_kernels", lambda: IMAGE)
    yield onnx_builder(tmp_path / "engines", process, trt_session)
    assert (emulated("alive"), emulated("registered")) == left


def strict(card: Card) -> Card:
    """The card with an INT8 that no engine can pass in."""
    assert card.int8 is not None
    nothing = Tolerance(shift_px=0, iou=1, score=0)
    return card.model_copy(update={"int8": card.int8.model_copy(update={"tolerance": nothing})})


def test_int8_runs_where_it_passes_and_fp16_elsewhere(builder: EngineBuilder, tmp_path: Path) -> None:
    person = load()[PERSON].model_copy(update={"int8": None})
    cards = [load()[DETECTOR], person, strict(load()[HORSE])]
    files = {card.name: (card, model_path(card.name)) for card in cards}
    service = EngineBuildService(builder, files, levels=(3,), workspace_mb=64, precision="int8")
    built: dict[str, BuiltEngine] = {}
    precisions: dict[str, str] = {}

    def on_ready(job: BuildJob, engine: StoredEngine) -> None:
        built[job.card.name] = BuiltEngine(job, engine)
        precisions[job.card.name] = engine.key.precision

    service.start(on_ready)
    assert service.join(120)
    assert precisions == {DETECTOR: "int8", PERSON: "fp16", HORSE: "fp16"}
    assert service.statuses[DETECTOR].reason == ""
    assert "its card has no INT8" in service.statuses[PERSON].reason
    assert f"{HORSE} in INT8 differs from FP32: " in service.statuses[HORSE].reason
    models = load_models(
        ModelsConfig(store=tmp_path), ComputeConfig(precision="int8"), engine_of=lambda card: built.get(card.name)
    )
    assert isinstance(models.backend, CudaBackend)
    frame = Frame(camera="a", seq=0, captured_ns=0, image=clip()[5])
    params = figures.person_params(models.backend, 2)
    found = models.backend.infer(frame, params, Boxes.empty(), detect=True)
    models.backend.close()
    file = int8_file(tmp_path, cards[0], model_path(DETECTOR))
    host = CpuBackend(OrtSession(cards[0], file, 1), {"person": OrtSession(cards[1], model_path(PERSON), 1)})
    wanted = host.infer(frame, params, Boxes.empty(), detect=True)
    sure = int((wanted.boxes.score > SURE).sum())  # the best come first
    assert sure
    assert found.boxes.score[:sure] == pytest.approx(wanted.boxes.score[:sure], abs=0.03)
    assert np.abs(found.boxes.xyxy[:sure] - wanted.boxes.xyxy[:sure]).max() < 2


def test_report_has_a_row_per_precision_and_the_reasons(
    builder: EngineBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards = {DETECTOR: load()[DETECTOR], HORSE: strict(load()[HORSE])}
    monkeypatch.setattr(tensorrt, "load", lambda: cards)
    monkeypatch.setattr(tensorrt, "MODELS", (DETECTOR, HORSE))
    effort = Effort(warm_up=0, launches=1)
    kinds: tuple[Precision, ...] = ("fp16", "int8")
    found = {kind: tensorrt.engines(kind, effort, lambda folder: builder) for kind in kinds}
    assert list(found["int8"][DETECTOR]["ms"]) == ["1"]
    assert list(found["fp16"][HORSE]["ms"]) == ["1", "2", "4", "8"]
    text = "\n".join(tensorrt.lines({**found, "fp32": {"why_not": "no time"}}))
    assert f"\n| {DETECTOR} | int8 | 1.5 | " in text
    assert f"\n- not measured: {HORSE}, int8: {HORSE} in INT8 differs from FP32: " in text
    assert "\n- not measured: fp32: no time" in text
