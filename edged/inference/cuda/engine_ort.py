"""Models on ONNX Runtime's CUDA provider, for GPUs without TensorRT: bound to our tensors, on our stream.

Not capturable: ONNX Runtime keeps CUDA graphs of its own. One session per batch size: a convolution keeps cuDNN's
plan for the last shape, and would plan again whenever the batch changes. Not run on hardware yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime as ort

from edged.errors import ModelFault, ModelMissing
from edged.inference.cpu.onnxruntime import ORT_ERRORS
from edged.inference.cuda.context import Gpu
from edged.inference.cuda.engine import EngineTensors
from edged.inference.first_line import first_line
from engines.card import Card
from engines.prepare import batches as batches_of
from engines.prepare import prepare
from engines.prepare.model import BATCH_AXIS, Batch, PreparedModel

PROVIDER = "CUDAExecutionProvider"


def is_available() -> bool:
    """Whether this ONNX Runtime was built with CUDA."""
    return PROVIDER in ort.get_available_providers()


def open_engine(card: Card, file: Path, gpu: Gpu, batches: Sequence[int] | None = None) -> OrtCudaEngine:
    """The model, prepared as for TensorRT, in FP32. Raises `CardError` and `ModelMissing`.

    `batches` in rising order; by default the card's, or those that the file can have.
    """
    data = file.read_bytes()
    sizes = tuple(batches or batches_of(card, data))
    batch: Batch = sizes[0] if len(sizes) == 1 else (sizes[0], sizes[-1], sizes[-1])
    model = prepare(card, data, batch=batch, precision="fp32", io="fp32")
    return OrtCudaEngine(gpu, card.model_copy(update={"family": model.family}), model, sizes)


class OrtCudaEngine:
    """A prepared model: an `Engine`. Raises `ModelMissing` when ONNX Runtime refuses it or has no CUDA."""

    capturable = False

    def __init__(self, gpu: Gpu, card: Card, model: PreparedModel, batches: Sequence[int]) -> None:
        self.card = card
        self.batches = tuple(batches)
        _preload_libraries()
        self._sessions = {batch: self._session(gpu, model, batch) for batch in self.batches}
        self._run_options = ort.RunOptions()
        self._run_options.add_run_config_entry("disable_synchronize_execution_providers", "1")
        self._tensors = EngineTensors(gpu, model, self.batches[-1])
        self.input, self.outputs = self._tensors.input, self._tensors.outputs
        self._bindings = {batch: self._binding(batch) for batch in self.batches}

    def enqueue(self, batch: int) -> None:
        try:
            self._sessions[batch].run_with_iobinding(self._bindings[batch], self._run_options)
        except ORT_ERRORS as refusal:
            raise ModelFault(f"model {self.card.name}: run failed: {first_line(refusal)}; frame given up") from refusal

    def close(self) -> None:
        self._bindings.clear()
        self._sessions.clear()
        self._tensors.free()

    def _session(self, gpu: Gpu, model: PreparedModel, batch: int) -> Any:
        options = ort.SessionOptions()
        options.log_severity_level = 3  # errors only
        options.add_free_dimension_override_by_name(BATCH_AXIS, batch)
        ours = {"device_id": "0", "user_compute_stream": str(gpu.stream.handle)}
        try:
            session = ort.InferenceSession(model.onnx, options, providers=[(PROVIDER, ours)])
        except ORT_ERRORS as refusal:
            raise ModelMissing(f"model {self.card.name}: ONNX Runtime refuses it: {first_line(refusal)}") from refusal
        if PROVIDER not in session.get_providers():
            raise ModelMissing(
                f"model {self.card.name}: ONNX Runtime cannot use CUDA here; install onnxruntime-gpu, and the CUDA and "
                "cuDNN it was built for where it finds them"
            )
        return session

    def _binding(self, batch: int) -> Any:
        binding = self._sessions[batch].io_binding()
        for tensor in self._tensors.all:
            bind = binding.bind_input if tensor is self.input else binding.bind_output
            shape = (batch, *tensor.shape[1:])
            bind(tensor.name, "cuda", 0, tensor.dtype.type, shape, tensor.memory.address)
        return binding


def _preload_libraries() -> None:
    """Load CUDA and cuDNN installed as Python packages; ONNX Runtime looks only where the linker does."""
    if hasattr(ort, "preload_dlls"):
        ort.preload_dlls()
