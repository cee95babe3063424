"""A starter model in PyTorch, eager, FP32, as an engine of the CUDA backend, if ONNX Runtime has no CUDA.

It is bound to the tensors and the stream of the backend. PyTorch is imported when the first engine is made.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from edged.errors import ModelFault
from edged.inference.cuda.context import Gpu
from edged.inference.cuda.engine import EngineTensors, Tensor
from engines.card import Card
from engines.prepare import prepare
from engines.prepare.model import Batch
from tools.bench.configurations import torch_net, torch_unavailable_reason
from tools.bench.unavailable import Unavailable


def open_engine(card: Card, file: Path, gpu: Gpu, batches: Sequence[int] | None = None) -> TorchEngine:
    """Return the engine of a starter model. `batches` ascend; default: those of the backend. Raises `Unavailable`."""
    if card.source.bundled is None:
        raise Unavailable(f"no PyTorch net of {card.name}")
    if lack := torch_unavailable_reason("cuda"):
        raise Unavailable(lack)
    return TorchEngine(gpu, card, file, batches or card.batches)


class TorchEngine:
    """An engine in PyTorch. `device` "cpu" is for tests with emulated GPU memory: work is synchronous."""

    capturable = True  # PyTorch's pool of this stream keeps its memory, and nothing else runs on the stream

    def __init__(self, gpu: Gpu, card: Card, file: Path, batches: Sequence[int], device: str = "cuda") -> None:
        import torch  # noqa: PLC0415

        self._torch = torch
        self.batches = tuple(batches)
        batch: Batch = 1 if len(self.batches) == 1 else (self.batches[0], self.batches[-1], self.batches[-1])
        model = prepare(card, file.read_bytes(), batch=batch, precision="fp32", io="fp32")
        self.card = card.model_copy(update={"family": model.family})
        self._tensors = EngineTensors(gpu, model, self.batches[-1])
        self.input, self.outputs = self._tensors.input, self._tensors.outputs
        self._net: Any = torch_net(card, file).to(device)
        as_array = _on_gpu if device == "cuda" else _on_host
        self._input_tensor, *self._outputs = (
            torch.as_tensor(as_array(tensor), device=device) for tensor in self._tensors.all
        )
        self._stream = torch.cuda.ExternalStream(gpu.stream.handle) if device == "cuda" else None
        self._on_stream: Any = nullcontext() if self._stream is None else torch.cuda.stream(self._stream)

    def enqueue(self, batch: int) -> None:
        try:
            with self._torch.inference_mode(), self._on_stream:
                for output, found in zip(self._outputs, self._net(self._input_tensor[:batch]), strict=True):
                    output[:batch].copy_(found)
        except RuntimeError as error:
            raise ModelFault(f"model {self.card.name}: PyTorch could not run it: {error}") from error

    def close(self) -> None:
        """Free the memory in PyTorch, which must happen before its stream is destroyed."""
        del self._net, self._input_tensor, self._outputs, self._on_stream
        if self._stream is not None:
            self._stream.synchronize()
            self._torch.cuda.empty_cache()
        self._tensors.free()


def _on_gpu(tensor: Tensor) -> Any:
    """Return the memory of a tensor with the CUDA array interface."""
    interface = {
        "shape": tensor.shape,
        "typestr": tensor.dtype.str,
        "data": (tensor.memory.address, False),
        "version": 2,
    }
    return SimpleNamespace(__cuda_array_interface__=interface)


def _on_host(tensor: Tensor) -> np.ndarray[Any, Any]:
    raw = (ctypes.c_uint8 * tensor.memory.size).from_address(tensor.memory.address)
    count = int(np.prod(tensor.shape))
    array: np.ndarray[Any, Any] = np.ctypeslib.as_array(raw).view(tensor.dtype)[:count].reshape(tensor.shape)
    return array
