"""What an engine is to the plane: tensors that stay where they are, and work put onto the stream."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

import numpy as np

from edged.inference.cuda.context import Gpu
from edged.inference.cuda.memory import DeviceBuffer
from engines.card import Card
from engines.prepare.model import PreparedModel
from engines.prepare.model import Tensor as Described


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tensor:
    """One input or output: where it lies on the GPU, and what it is for the largest batch."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    memory: DeviceBuffer

    @property
    def kernel_suffix(self) -> str:
        """The kernels' word for its type."""
        return "_f16" if self.dtype == np.float16 else "_f32"


class Engine(Protocol):
    """A model on the GPU. It belongs to the thread that owns the GPU, and is closed before it.

    `enqueue` reads `source` and fills `outputs`, the first `batch` of each, when the stream comes to it; `batch` is
    one of `batches`, which rise. It raises `ModelFault` when the work is refused. An engine whose work cannot become
    part of a CUDA graph says so by `captures`.
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
    """A prepared model's inputs and outputs on the GPU, made once for its largest batch."""

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


def _allocate(gpu: Gpu, described: Described, max_batch: int) -> Tensor:
    shape = (max_batch, *(int(axis or 1) for axis in described.shape[1:]))
    dtype = np.dtype(described.dtype)
    memory = DeviceBuffer(gpu, prod(shape) * dtype.itemsize)
    return Tensor(name=described.name, shape=shape, dtype=dtype, memory=memory)
