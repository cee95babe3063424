"""A starter model as PyTorch runs it, eager, FP32, as an engine of the CUDA backend: where ONNX Runtime has no CUDA.

Bound to our tensors, on our stream. Needs PyTorch, which is imported when the first engine is made.
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
from engines.build.service import POSE_BATCHES
from engines.card import Card
from engines.prepare import prepare
from engines.prepare.model import Batch
from tools.bench.absent import Absent
from tools.bench.configurations import torch_lacks, torch_net


def open_engine(card: Card, file: Path, gpu: Gpu, batches: Sequence[int] | None = None) -> TorchEngine:
    """A starter model. `batches` rise; left out, they are those of the backend. Raises `Absent`."""
    if card.source.bundled is None:
        raise Absent(f"there is no PyTorch net of {card.name} here")
    if lack := torch_lacks("cuda"):
        raise Absent(lack)
    return TorchEngine(gpu, card, file, batches or ((1,) if card.pose is None else POSE_BATCHES))


class TorchEngine:
    """`device` "cpu" is for tests, where the GPU's memory is the host's: work is done at once, not on the stream."""

    capturable = True  # its memory stays in PyTorch's pool for our stream, on which nothing else runs

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
        seen = _on_gpu if device == "cuda" else _on_host
        self._input_tensor, *self._outputs = (
            torch.as_tensor(seen(tensor), device=device) for tensor in self._tensors.all
        )
        self._stream = torch.cuda.ExternalStream(gpu.stream.handle) if device == "cuda" else None
        self._on_stream: Any = nullcontext() if self._stream is None else torch.cuda.stream(self._stream)

    def enqueue(self, batch: int) -> None:
        try:
            with self._torch.inference_mode(), self._on_stream:
                for told, found in zip(self._outputs, self._net(self._input_tensor[:batch]), strict=True):
                    told[:batch].copy_(found)
        except RuntimeError as refusal:
            raise ModelFault(f"model {self.card.name}: PyTorch did not run it: {refusal}") from refusal

    def close(self) -> None:
        """PyTorch gives its memory back before the stream that it was for is gone."""
        del self._net, self._input_tensor, self._outputs, self._on_stream
        if self._stream is not None:
            self._stream.synchronize()
            self._torch.cuda.empty_cache()
        self._tensors.free()


def _on_gpu(tensor: Tensor) -> Any:
    """A tensor's memory, as libraries for GPUs hand arrays to each other."""
    shown = {"shape": tensor.shape, "typestr": tensor.dtype.str, "data": (tensor.memory.address, False), "version": 2}
    return SimpleNamespace(__cuda_array_interface__=shown)


def _on_host(tensor: Tensor) -> np.ndarray[Any, Any]:
    raw = (ctypes.c_uint8 * tensor.memory.size).from_address(tensor.memory.address)
    count = int(np.prod(tensor.shape))
    array: np.ndarray[Any, Any] = np.ctypeslib.as_array(raw).view(tensor.dtype)[:count].reshape(tensor.shape)
    return array
