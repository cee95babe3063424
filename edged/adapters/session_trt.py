"""One TensorRT engine on the GPU, host arrays in and out: what ONNX Runtime's session is on the CPU.

Belongs to the thread that makes it, with pycuda's primary context on top. Not run on hardware yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from edged.decode.detectors import finite
from edged.errors import DeviceLost, ModelFault
from edged.frame import F32
from engines.card import Card
from engines.errors import PlanRefused
from engines.prepare import Prepared
from engines.trt import find, logger


class TrtSession:
    """Runs (B, 3, H, W) float32 tensors, in the smallest batch size the engine was built for; larger ones in parts."""

    def __init__(self, card: Card, plan: bytes, model: Prepared, profiles: Sequence[tuple[int, int, int]]) -> None:
        """Raises `PlanRefused` when TensorRT does not take the plan."""
        self.card = card
        self._cuda: Any = import_module("pycuda.driver")
        self._cuda.init()
        self._context = self._cuda.Device(0).retain_primary_context()
        self._context.push()
        self._stream = self._cuda.Stream(1)  # non-blocking: never waits for the default stream
        api = find("tensorrt").api
        self._complaints: list[str] = []
        self._runtime = api.Runtime(logger(api, self._complaints))
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise PlanRefused(f"engine of {card.name}: TensorRT refuses it: {'; '.join(self._complaints[-2:])}")
        self._run = self._engine.create_execution_context()
        self._model = model
        self._batches = [most for _, _, most in profiles] or [1]
        self._buffers = {tensor.name: self._buffer(tensor.dtype, tensor.shape) for tensor in self._tensors}
        for name, (_, device) in self._buffers.items():
            self._run.set_tensor_address(name, int(device))

    @property
    def _tensors(self) -> tuple[Any, ...]:
        return (*self._model.inputs, *self._model.outputs)

    def run(self, tensor: F32) -> list[F32]:
        """The outputs in the model's order; raises `ModelFault`, or `DeviceLost` when CUDA is gone."""
        most = self._batches[-1]
        parts = [self._run_part(tensor[at : at + most]) for at in range(0, len(tensor), most)]
        outputs = [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]
        finite(self.card.name, outputs)
        return outputs

    def close(self) -> None:
        """In this order, and on the thread that made it: a context that is left on the stack aborts at exit."""
        del self._run, self._engine, self._runtime
        for _, device in self._buffers.values():
            device.free()
        self._buffers.clear()
        self._context.pop()
        self._context.detach()

    def _run_part(self, tensor: F32) -> list[F32]:
        count = len(tensor)
        batch = next(size for size in self._batches if size >= count)
        try:
            return self._enqueue(tensor, count, batch)
        except self._cuda.Error as exc:
            raise DeviceLost(f"CUDA: {exc}; the daemon ends, to be started again") from exc

    def _enqueue(self, tensor: F32, count: int, batch: int) -> list[F32]:
        if len(self._batches) > 1:
            self._run.set_optimization_profile_async(self._batches.index(batch), self._stream.handle)
        (source,) = self._model.inputs
        host, device = self._buffers[source.name]
        np.copyto(host[:count], tensor, casting="same_kind")
        self._run.set_input_shape(source.name, (batch, *tensor.shape[1:]))
        self._cuda.memcpy_htod_async(device, host[:batch], self._stream)
        if not self._run.execute_async_v3(self._stream.handle):
            raise ModelFault(f"model {self.card.name}: TensorRT did not run it: {'; '.join(self._complaints[-2:])}")
        for output in self._model.outputs:
            host, device = self._buffers[output.name]
            self._cuda.memcpy_dtoh_async(host[:batch], device, self._stream)
        self._stream.synchronize()
        return [self._buffers[output.name][0][:count].astype(np.float32) for output in self._model.outputs]

    def _buffer(self, dtype: str, shape: Sequence[int | None]) -> tuple[Any, Any]:
        """Page-locked on the host, and its counterpart on the GPU; aligned as TensorRT wants, for each is its own."""
        whole = tuple(self._batches[-1] if i == 0 else int(axis or 1) for i, axis in enumerate(shape))
        host = self._cuda.pagelocked_zeros(whole, np.dtype(dtype))
        return host, self._cuda.mem_alloc(host.nbytes)
