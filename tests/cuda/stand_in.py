"""An engine for the emulated GPU: ONNX Runtime on the CPU, run by the stream when it comes to it."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import onnxruntime as ort

from edged.adapters.cuda.engine import Tensor, Tensors
from edged.adapters.cuda.gpu import Gpu
from engines.card import Card
from engines.prepare import Prepared

HostFunction = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class StandIn:
    """Reads and fills its tensors where they lie: memory of the emulated GPU is the host's."""

    def __init__(self, gpu: Gpu, card: Card, model: Prepared, batches: Sequence[int], *, captures: bool = True) -> None:
        self.card = card.model_copy(update={"family": model.family})
        self.batches = tuple(batches)
        self.captures = captures
        self.ran: list[int] = []  # batches, in order
        self.poison: float | None = None  # given out in the place of the first value
        self._gpu = gpu
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(model.onnx, options, providers=["CPUExecutionProvider"])
        self._tensors = Tensors(gpu, model, self.batches[-1])
        self._functions = {batch: HostFunction(lambda _, batch=batch: self._run(batch)) for batch in self.batches}

    @property
    def source(self) -> Tensor:
        return self._tensors.source

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        return self._tensors.outputs

    def enqueue(self, batch: int) -> None:
        stream = ctypes.c_void_p(self._gpu.stream.handle)
        self._gpu.call("cuLaunchHostFunc", stream, self._functions[batch], None)

    def close(self) -> None:
        self._tensors.free()

    def _run(self, batch: int) -> None:
        self.ran.append(batch)
        given = {self.source.name: view(self.source, batch)}
        names = [output.name for output in self.outputs]
        for output, values in zip(self.outputs, self._session.run(names, given), strict=True):
            view(output, batch)[:] = values
            if self.poison is not None:
                view(output, batch).flat[0] = self.poison


def view(tensor: Tensor, batch: int) -> np.ndarray[Any, Any]:
    shape = (batch, *tensor.shape[1:])
    raw = (ctypes.c_uint8 * (prod(shape) * tensor.dtype.itemsize)).from_address(tensor.memory.address)
    return np.ctypeslib.as_array(raw).view(tensor.dtype).reshape(shape)
