"""TensorRT engines on the emulated GPU, alone and swapped in by the daemon; TensorRT itself is a stand-in.

What is asked of it is held against the real bindings in tests/system/test_tensorrt_api.py; here it is run.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

from edged.app import started_daemon
from edged.config.tables.models import ComputeConfig, ModelsConfig
from edged.config.tree import Config
from edged.daemon import Daemon
from edged.errors import ConfigError, DeviceLost, ModelFault
from edged.inference.cuda import engine_trt, kernels
from edged.inference.cuda.session_trt import TrtSession
from edged.inference.engine_builder import BuiltEngine
from edged.inference.load_models import load_models
from edged.mqtt.embedded_broker import EmbeddedBroker
from engines.card import POSE_BATCHES, Card
from engines.catalogue import load
from engines.errors import PlanRefused
from engines.golden import golden_inputs
from engines.prepare import prepare
from engines.prepare.model import PreparedModel
from engines.store.key import BuildOptions
from engines.store.model_store import ModelStore
from tests.cuda.emulated import IMAGE, Emulated
from tests.cuda.stand_in import TensorRT
from tests.support.mqtt import Listener, MQTTv311
from tests.support.schema import schema_errors
from tests.support.waiting import until

CLIP = Path(__file__).parents[2] / "tools/demo/stall.mp4"
PROFILES = tuple((n, n, n) for n in POSE_BATCHES)
MODELS = ("det-person-horse", "rtmpose-t-coco17", "rtmpose-t-ap10k-horse")


class Model(NamedTuple):
    card: Card
    prepared: PreparedModel
    profiles: tuple[tuple[int, int, int], ...]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    store = ModelStore(tmp_path_factory.mktemp("store"))
    made = {}
    for name in MODELS:
        card = load()[name]
        batch: Any = 1 if card.pose is None else (1, 4, 8)
        prepared = prepare(card, store.path(card).read_bytes(), batch=batch, precision="fp16")
        made[name] = Model(card, prepared, () if card.pose is None else PROFILES)
    return made


@pytest.fixture
def tensorrt(
    emulated: Emulated, driver: ctypes.CDLL, models: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> Iterator[TensorRT]:
    """A stand-in for the bindings; its engines must leave nothing on the GPU."""
    left = emulated("alive"), emulated("registered")
    made = TensorRT(driver, {m.prepared.onnx: [most for _, _, most in m.profiles] or [1] for m in models.values()})
    monkeypatch.setattr(engine_trt, "find", lambda flavour: SimpleNamespace(api=made))
    monkeypatch.setattr(kernels, "compiled_kernels", lambda: IMAGE)
    monkeypatch.setattr("edged.inference.cuda.open.compiled_kernels", lambda: IMAGE)
    yield made
    emulated.lose(0)
    assert (emulated("alive"), emulated("registered")) == left


@pytest.fixture
def session(tensorrt: TensorRT, models: dict[str, Model]) -> Iterator[TrtSession]:
    card, prepared, profiles = models["rtmpose-t-coco17"]
    made = TrtSession(card, prepared.onnx, prepared, profiles)
    yield made
    made.close()


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 11])
def test_session_runs_any_batch(session: TrtSession, count: int) -> None:
    inputs = (golden_inputs(session.card) * 4)[:count]
    together = session.run(np.concatenate(inputs))
    for i, tensor in enumerate(inputs):
        for whole, alone in zip(together, session.run(tensor), strict=True):
            assert whole[i : i + 1] == pytest.approx(alone, abs=2e-3)


def test_session_allocates_once(session: TrtSession, emulated: Emulated) -> None:
    session.run(golden_inputs(session.card)[0])
    before = emulated("allocations")
    session.run(golden_inputs(session.card)[0])
    assert emulated("allocations") == before


def test_lost_gpu_is_fatal_and_refused_run_is_not(session: TrtSession, tensorrt: TensorRT, emulated: Emulated) -> None:
    tensorrt.contexts[0].fails = True
    with pytest.raises(ModelFault):
        session.run(golden_inputs(session.card)[0])
    emulated.lose(1)
    with pytest.raises(DeviceLost):
        session.run(golden_inputs(session.card)[0])


def test_refused_plan_leaves_nothing_allocated(tensorrt: TensorRT, models: dict[str, Model]) -> None:
    card, prepared, profiles = models["det-person-horse"]
    with pytest.raises(PlanRefused):
        TrtSession(card, b"truncated", prepared, profiles)


class StandInEngine:
    """A stored engine, as the daemon gets it."""

    def __init__(self, model: Model, plan: bytes | None = None) -> None:
        self.card = model.card
        self.job: Any = SimpleNamespace(
            card=model.card,
            model=model.prepared,
            options=BuildOptions(level=3, workspace_mb=64, profiles=model.profiles),
        )
        self.plan: Any = SimpleNamespace(read=lambda: model.prepared.onnx if plan is None else plan)

    def session(self) -> Any:
        return self._own.session()

    def engine(self, gpu: Any) -> Any:
        return self._own.engine(gpu)

    @property
    def _own(self) -> Any:
        return BuiltEngine(self.job, self.plan)


@pytest.mark.parametrize("without", [None, *MODELS])
def test_cuda_backend_needs_engine_of_every_model(
    tensorrt: TensorRT, models: dict[str, Model], tmp_path: Path, without: str | None
) -> None:
    def engine_of(card: Card) -> StandInEngine | None:
        return None if card.name == without else StandInEngine(models[card.name])

    engines = load_models(ModelsConfig(store=tmp_path), ComputeConfig(), engine_of=engine_of)
    engines.backend.close()
    assert engines.backend_info["backend"] == ("cuda" if without is None else "cpu")
    assert engines.runtime_by_model == {name: "onnxruntime" if name == without else "tensorrt" for name in MODELS}


def test_refused_engine_falls_back_to_onnx_runtime_alone(
    tensorrt: TensorRT, models: dict[str, Model], tmp_path: Path
) -> None:
    def engine_of(card: Card) -> StandInEngine:
        return StandInEngine(models[card.name], b"truncated" if "ap10k" in card.name else None)

    engines = load_models(ModelsConfig(store=tmp_path), ComputeConfig(), engine_of=engine_of)
    engines.backend.close()
    assert engines.backend_info["backend"] == "cpu"
    assert [engines.runtime_by_model[name] for name in MODELS] == ["tensorrt", "tensorrt", "onnxruntime"]


def test_forced_cuda_names_what_is_missing(tensorrt: TensorRT, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edged.inference.cuda.open.compiled_kernels", lambda: None)
    with pytest.raises(ConfigError, match=r"compute\.backend"):
        load_models(ModelsConfig(store=tmp_path), ComputeConfig(backend="cuda"))


def test_daemon_swaps_in_cuda_backend(tensorrt: TensorRT, models: dict[str, Model], tmp_path: Path) -> None:
    with EmbeddedBroker() as broker:
        heard = Listener(broker.port, version=MQTTv311)
        settings = Config.model_validate(
            {
                "device": {"id": "box", "state_dir": str(tmp_path)},
                "engines": {"tensorrt": "off"},  # nothing is built here
                "mqtt": {"host": broker.host, "port": broker.port, "protocol": "3.1.1"},
                "models": {"store": str(tmp_path / "models")},
                "publish": {"health_interval_s": 1},
                "cameras": {"stall": {"source": str(CLIP), "loop": True, "fps": 5}},
            }
        )
        with started_daemon(settings) as made:
            builds = EngineBuilds(made, models, heard)
            builds.start()
            made.run(builds.over)  # on the thread that made the backend and will close it
            builds.join(60)
            assert made.models.backend_info["backend"] == "cuda"
            assert made.cameras()["stall"].counts.failed == 0
        heard.close()
    health = heard.bodies("edged/box/health")[-1]
    assert builds.told["models"]["backend"] == "cuda"
    assert builds.told["models"]["frame_access"] == "mapped"
    assert schema_errors("health", health) == []
    assert any(body["subjects"] for body in heard.bodies("edged/box/cam/stall/poses")[builds.before :])


class EngineBuilds(threading.Thread):
    """Reports engines as ready one after the other, and ends the daemon when they are in use."""

    def __init__(self, made: Daemon, models: dict[str, Model], heard: Listener) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.told: dict[str, Any] = {}
        self.before = 0
        self._made, self._models, self._heard = made, models, heard

    def run(self) -> None:
        try:
            poses = "edged/box/cam/stall/poses"
            until(lambda: self._heard.bodies(poses))
            for model in self._models.values():
                engine = StandInEngine(model)
                self._made.on_engine_ready(engine.job, engine.plan)
            self.before = len(self._heard.bodies(poses))
            until(lambda: len(self._heard.bodies(poses)) > self.before + 8, 60)
            until(lambda: self._heard.bodies("edged/box/health")[-1]["models"].get("frame_access") == "mapped")
            self.told = self._heard.bodies("edged/box/health")[-1]
        finally:
            self.over.set()
