"""The TensorRT session on a stand-in for the GPU: memory in bytes, and an engine that ONNX Runtime runs.

What the session calls is held against the real bindings in tests/system/test_tensorrt_api.py; here it is run.
"""

from __future__ import annotations

import sys
from itertools import count
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs ONNX Runtime; install edged[cpu]")
pytest.importorskip("onnx", reason="needs onnx; install edged[dev]")

import onnxruntime as ort

from edged.adapters import session_trt
from edged.adapters.session_trt import TrtSession
from edged.errors import DeviceLost, ModelFault
from engines.card import Card
from engines.catalogue import load
from engines.errors import PlanRefused
from engines.foundry import POSE_BATCHES
from engines.golden import golden_inputs
from engines.prepare import Prepared, prepare
from engines.store import Store

PROFILES = tuple((n, n, n) for n in POSE_BATCHES)
DTYPES = {"tensor(float16)": np.float16, "tensor(float)": np.float32}


class Lost(Exception):
    """What pycuda raises when the GPU is gone."""


class Gpu:
    """Device memory by address, and everything that was done in turn."""

    def __init__(self) -> None:
        self.memory: dict[int, bytearray] = {}
        self.done: list[str] = []
        self.gone = False
        self._addresses = count(4096, 4096)

    def allocate(self, size: int) -> Any:
        address = next(self._addresses)
        self.memory[address] = bytearray(size)
        gpu = self

        class Allocation:
            def __int__(self) -> int:
                return address

            def free(self) -> None:
                gpu.done.append("free")
                del gpu.memory[address]

        return Allocation()

    def driver(self) -> ModuleType:
        """pycuda.driver, as far as the session needs it."""
        cuda: Any = ModuleType("pycuda.driver")
        context = SimpleNamespace(
            **{name: lambda name=name: self.done.append(name) for name in ("push", "pop", "detach")}
        )
        cuda.Error = Lost
        cuda.init = lambda: None
        cuda.Device = lambda number: SimpleNamespace(retain_primary_context=lambda: context)
        cuda.Stream = lambda flags: SimpleNamespace(handle=7, synchronize=lambda: self.done.append("synchronize"))
        cuda.pagelocked_zeros = np.zeros
        cuda.mem_alloc = self.allocate
        cuda.memcpy_htod_async = self._up
        cuda.memcpy_dtoh_async = self._down
        return cuda  # type: ignore[no-any-return]  # Any, to be filled

    def _up(self, device: Any, host: np.ndarray, stream: Any) -> None:
        if self.gone:
            raise Lost("cuMemcpyHtoDAsync failed: unspecified launch failure")
        self.memory[int(device)][: host.nbytes] = host.tobytes()

    def _down(self, host: np.ndarray, device: Any, stream: Any) -> None:
        host[:] = np.frombuffer(self.memory[int(device)][: host.nbytes], host.dtype).reshape(host.shape)


class Engine:
    """An execution context: it runs what lies at its addresses, in the batch of its profile and no other."""

    def __init__(self, gpu: Gpu, model: bytes) -> None:
        self._gpu = gpu
        self._session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
        self._at: dict[str, int] = {}
        self._profile = 0
        self._shape: tuple[int, ...] = ()
        self.fails = False

    def create_execution_context(self) -> Engine:
        return self

    def set_tensor_address(self, name: str, address: int) -> None:
        self._at[name] = address

    def set_optimization_profile_async(self, index: int, stream: int) -> None:
        self._profile = index

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> None:
        self._shape = shape

    def execute_async_v3(self, stream: int) -> bool:
        assert self._shape[0] == PROFILES[self._profile][1], "the batch is the profile's"
        (source,) = self._session.get_inputs()
        dtype = np.dtype(DTYPES[source.type])
        size = int(np.prod(self._shape)) * dtype.itemsize
        tensor = np.frombuffer(self._gpu.memory[self._at[source.name]][:size], dtype).reshape(self._shape)
        for told, found in zip(
            self._session.get_outputs(), self._session.run(None, {source.name: tensor}), strict=True
        ):
            self._gpu.memory[self._at[told.name]][: found.nbytes] = found.tobytes()
        return not self.fails


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Card, Prepared]:
    card = load()["rtmpose-t-lsp14"]
    file = Store(tmp_path_factory.mktemp("store")).path(card)
    return card, prepare(card, file.read_bytes(), batch=(1, 4, 8), precision="fp16")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    made = Gpu()
    monkeypatch.setitem(sys.modules, "pycuda", ModuleType("pycuda"))
    monkeypatch.setitem(sys.modules, "pycuda.driver", made.driver())
    return made


def opened(gpu: Gpu, model: tuple[Card, Prepared], monkeypatch: pytest.MonkeyPatch) -> tuple[TrtSession, list[Engine]]:
    card, prepared = model
    engines: list[Engine] = []

    def deserialize(plan: bytes) -> Engine | None:
        if plan:
            engines.append(Engine(gpu, plan))
        return engines[-1] if plan else None

    log = type("ILogger", (), {"VERBOSE": 4, "INFO": 3, "WARNING": 2, "ERROR": 1, "INTERNAL_ERROR": 0})
    api = SimpleNamespace(ILogger=log, Runtime=lambda ear: SimpleNamespace(deserialize_cuda_engine=deserialize))
    monkeypatch.setattr(session_trt, "find", lambda flavour: SimpleNamespace(api=api))
    return TrtSession(card, prepared.onnx, prepared, PROFILES), engines


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 11])
def test_any_number_of_subjects_gets_its_own_answers(
    gpu: Gpu, model: tuple[Card, Prepared], monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    session, _ = opened(gpu, model, monkeypatch)
    inputs = (golden_inputs(model[0]) * 3)[:count]
    together = session.run(np.concatenate(inputs))
    for i, tensor in enumerate(inputs):
        for whole, alone in zip(together, session.run(tensor), strict=True):
            assert whole[i : i + 1] == pytest.approx(alone, abs=2e-3)
    session.close()


def test_every_buffer_is_made_once_and_freed_once_before_the_context_goes(
    gpu: Gpu, model: tuple[Card, Prepared], monkeypatch: pytest.MonkeyPatch
) -> None:
    session, _ = opened(gpu, model, monkeypatch)
    before = set(gpu.memory)
    for _ in range(3):
        session.run(golden_inputs(model[0])[0])
    assert set(gpu.memory) == before
    session.close()
    assert not gpu.memory
    assert gpu.done[-2:] == ["pop", "detach"]


def test_a_lost_gpu_ends_the_daemon_and_a_failed_run_only_the_frame(
    gpu: Gpu, model: tuple[Card, Prepared], monkeypatch: pytest.MonkeyPatch
) -> None:
    session, engines = opened(gpu, model, monkeypatch)
    engines[0].fails = True
    with pytest.raises(ModelFault, match="TensorRT did not run it"):
        session.run(golden_inputs(model[0])[0])
    gpu.gone = True
    with pytest.raises(DeviceLost, match="unspecified launch failure"):
        session.run(golden_inputs(model[0])[0])


def test_a_plan_that_tensorrt_does_not_take_is_refused(
    gpu: Gpu, model: tuple[Card, Prepared], monkeypatch: pytest.MonkeyPatch
) -> None:
    session, _ = opened(gpu, model, monkeypatch)
    session.close()
    with pytest.raises(PlanRefused, match="TensorRT refuses it"):
        TrtSession(model[0], b"", model[1], PROFILES)
