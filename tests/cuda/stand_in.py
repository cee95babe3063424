"""Stand-ins for engines and for TensorRT on the emulated GPU: ONNX Runtime on the CPU, called by the stream."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from math import prod
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime as ort

from edged.inference.cuda.context import Gpu
from edged.inference.cuda.engine import EngineTensors, Tensor
from engines.card import Card
from engines.prepare.model import PreparedModel

DTYPES = {"tensor(float16)": np.float16, "tensor(float)": np.float32}
HostFunction = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class StandIn:
    """An `Engine`. Reads and fills its tensors in place: the emulated GPU's memory is the host's."""

    def __init__(
        self, gpu: Gpu, card: Card, model: PreparedModel, batches: Sequence[int], *, capturable: bool = True
    ) -> None:
        self.card = card.model_copy(update={"family": model.family})
        self.batches = tuple(batches)
        self.capturable = capturable
        self.ran: list[int] = []  # batches, in order
        self.poison: float | None = None  # given out in the place of the first value
        self._gpu = gpu
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(model.onnx, options, providers=["CPUExecutionProvider"])
        self._tensors = EngineTensors(gpu, model, self.batches[-1])
        self.input, self.outputs = self._tensors.input, self._tensors.outputs
        self._functions = {batch: HostFunction(lambda _, batch=batch: self._run(batch)) for batch in self.batches}

    def enqueue(self, batch: int) -> None:
        stream = ctypes.c_void_p(self._gpu.stream.handle)
        self._gpu.driver_call("cuLaunchHostFunc", stream, self._functions[batch], None)

    def close(self) -> None:
        self._tensors.free()

    def _run(self, batch: int) -> None:
        self.ran.append(batch)
        given = {self.input.name: view(self.input, batch)}
        names = [output.name for output in self.outputs]
        for output, values in zip(self.outputs, self._session.run(names, given), strict=True):
            view(output, batch)[:] = values
            if self.poison is not None:
                view(output, batch).flat[0] = self.poison


def view(tensor: Tensor, batch: int) -> np.ndarray[Any, Any]:
    return at(tensor.memory.address, (batch, *tensor.shape[1:]), tensor.dtype)


def at(address: int, shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
    """A view of the emulated GPU's memory."""
    raw = (ctypes.c_uint8 * (prod(shape) * np.dtype(dtype).itemsize)).from_address(address)
    array: np.ndarray[Any, Any] = np.ctypeslib.as_array(raw).view(dtype).reshape(shape)
    return array


class Context:
    """A TensorRT execution context: reads and writes at its addresses, in the batch of its profile only."""

    def __init__(self, driver: ctypes.CDLL, session: Any, profiles: Sequence[int]) -> None:
        self._driver, self._session, self._profiles = driver, session, profiles
        self._at: dict[str, int] = {}
        self._profile = 0
        self._shape: tuple[int, ...] = ()
        self._function = HostFunction(lambda _: self._run())
        self.fails = False

    def set_tensor_address(self, name: str, address: int) -> None:
        assert address % 256 == 0, "TensorRT wants aligned tensors"
        self._at[name] = address

    def set_optimization_profile_async(self, index: int, stream: int) -> None:
        self._profile = index

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> None:
        self._shape = shape

    def execute_async_v3(self, stream: int) -> bool:
        assert self._shape[0] == self._profiles[self._profile], "the batch is the profile's"
        if self.fails:
            return False
        return not self._driver.cuLaunchHostFunc(ctypes.c_void_p(stream), self._function, None)

    def _run(self) -> None:
        (source,) = self._session.get_inputs()
        given = {source.name: at(self._at[source.name], self._shape, DTYPES[source.type])}
        for results, found in zip(self._session.get_outputs(), self._session.run(None, given), strict=True):
            at(self._at[results.name], found.shape, found.dtype)[:] = found


class TensorRT:
    """The part of TensorRT's bindings that we call; its plans are ONNX files."""

    class ILogger:
        VERBOSE, INFO, WARNING, ERROR, INTERNAL_ERROR = 4, 3, 2, 1, 0

    def __init__(self, driver: ctypes.CDLL, profiles: dict[bytes, Sequence[int]]) -> None:
        self._driver, self._profiles = driver, profiles
        self.contexts: list[Context] = []

    def Runtime(self, logger: Any) -> TensorRT:  # noqa: N802  # TensorRT's name
        return self

    def deserialize_cuda_engine(self, plan: bytes) -> Any:
        if plan not in self._profiles:
            return None
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        session = ort.InferenceSession(plan, options, providers=["CPUExecutionProvider"])
        return SimpleNamespace(create_execution_context=lambda: self._context(session, self._profiles[plan]))

    def _context(self, session: Any, profiles: Sequence[int]) -> Context:
        self.contexts.append(Context(self._driver, session, profiles))
        return self.contexts[-1]
