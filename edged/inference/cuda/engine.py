"""The engine port of the CUDA backend: tensors with fixed addresses, and work enqueued on one stream."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

import numpy as np

from edged.inference.cuda.context import Gpu
from edged.inference.cuda.memory import DeviceBuffer
from engines.card import Card
from engines.prepare.model import PreparedModel, TensorShape


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tensor:
    """One input or output on the GPU; `shape` is that of the largest batch."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    memory: DeviceBuffer

    @property
    def kernel_suffix(self) -> str:
        """The suffix of the kernels for its type."""
        return "_f16" if self.dtype == np.float16 else "_f32"


class Engine(Protocol):
    """A model on the GPU, closed before its `Gpu`. Thread: the one that made the `Gpu`.

    `enqueue` puts work onto the stream that reads the first `batch` of `input` and fills the first `batch` of
    `outputs`; `batch` is one of `batches`, which are in rising order. Raises `ModelFault` when it is refused.
    `capturable`: the work can become part of a CUDA graph.
    """

    @property
    def card(self) -> Card: ...
    @property
    def input(self) -> Tensor: ...
    @property
    def outputs(self) -> tuple[Tensor, ...]: ...
    @property
    def batches(self) -> tuple[int, ...]: ...
    @property
    def capturable(self) -> bool: ...
    def enqueue(self, batch: int) -> None: ...
    def close(self) -> None: ...


class EngineTensors:
    """A prepared model's input and outputs on the GPU, for its largest batch. Owned: `free` them."""

    def __init__(self, gpu: Gpu, model: PreparedModel, max_batch: int) -> None:
        (source,) = model.inputs
        self.input = _allocate(gpu, source, max_batch)
        self.outputs = tuple(_allocate(gpu, output, max_batch) for output in model.outputs)

    @property
    def all(self) -> tuple[Tensor, ...]:
        return (self.input, *self.outputs)

    def free(self) -> None:
        for tensor in self.all:
            tensor.memory.free()


def _allocate(gpu: Gpu, described: TensorShape, max_batch: int) -> Tensor:
    shape = (max_batch, *(int(axis or 1) for axis in described.shape[1:]))
    dtype = np.dtype(described.dtype)
    memory = DeviceBuffer(gpu, prod(shape) * dtype.itemsize)
    return Tensor(name=described.name, shape=shape, dtype=dtype, memory=memory)
