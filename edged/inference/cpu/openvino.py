"""ONNX models on OpenVINO's CPU device: sessions of the backend, where the trial finds them faster than ONNX Runtime.

Imported only where it runs: the library costs memory and start-up time.
"""

from __future__ import annotations

from functools import partial
from itertools import product
from pathlib import Path
from queue import LifoQueue
from typing import Any

import numpy as np
import openvino as ov

from edged.errors import ModelMissing
from edged.frame import F32
from edged.inference.first_line import first_line
from edged.inference.session import run_checked, run_in_parts
from edged.runtime.cpus import allowed_cpus
from engines.card import Axis, Card


class OpenVinoSession:
    """A model file, checked against its card when it is loaded: a `Session`.

    `bf16` lets the CPU round to BF16 where it is fast; else FP32 stays FP32, as the library would not by itself.
    Thread: `run` as many as `frames_at_once`, each on `threads` of its own; everything else the one that made it.
    """

    def __init__(
        self, card: Card, path: Path, threads: int = 0, *, bf16: bool = False, frames_at_once: int = 1
    ) -> None:
        """`threads` 0: one per CPU that this process may use. Raises `ModelMissing` on a refusal, and `CardError`."""
        self.card = card
        core = ov.Core()
        if bf16 and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise ModelMissing(f"model {card.name}: this CPU does not compute in BF16; choose another precision")
        try:
            model = core.read_model(path)
            card.describes(_shapes(model.inputs), _shapes(model.outputs), takes=_dtypes(model.inputs))
            self._fixed_batch = _shapes(model.inputs)[card.input.name][0]
            options = _options(threads or allowed_cpus(), frames_at_once, bf16=bf16)
            compiled = core.compile_model(model, "CPU", options)
        except RuntimeError as refusal:
            raise ModelMissing(
                f"model {card.name}: OpenVINO refuses {path}: {first_line(refusal)}; "
                f"check it with `edged models verify {card.name}`, or set compute.cpu_runtime = 'onnxruntime'"
            ) from refusal
        self._requests = [compiled.create_infer_request() for _ in range(frames_at_once)]
        self._free: LifoQueue[Any] = LifoQueue()  # the last one returned is the one in the caches
        for request in self._requests:
            self._free.put(request)
        self._outputs = [compiled.output(output.name) for output in card.outputs]

    def warm_up(self, subjects: int) -> None:
        """Compile the kernels of a frame with one subject, and with that many, and allocate what they need."""
        width, height = self.card.input.size_wh
        batches = sorted({1, min(subjects, self.card.batches[-1])})
        for batch, request in product(batches, self._requests):
            try:
                zeros = np.zeros((batch, 3, height, width), np.float32)
                run_in_parts(partial(self._infer, request), zeros, self._fixed_batch)
            except RuntimeError:  # it comes back with the first frame
                return

    def run(self, tensor: F32) -> list[F32]:
        return run_checked(self.card, self._run, tensor, self._fixed_batch, (RuntimeError,))

    def close(self) -> None:
        """Nothing to release: a request goes with its last reference."""

    def _run(self, tensor: F32) -> list[F32]:
        request = self._free.get()
        try:
            return self._infer(request, tensor)
        finally:
            self._free.put(request)

    def _infer(self, request: Any, tensor: F32) -> list[F32]:
        found = request.infer([np.ascontiguousarray(tensor)], share_inputs=True)
        return [found[port] for port in self._outputs]


def _options(threads: int, streams: int, *, bf16: bool) -> dict[str, Any]:
    return {
        "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
        "INFERENCE_NUM_THREADS": threads * streams,  # of all streams together
        "NUM_STREAMS": streams,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,  # other processes may have those cores
    }


def _shapes(ports: list[Any]) -> dict[str, tuple[Axis, ...]]:
    """Shapes by name; an axis that the file leaves open is None."""
    return {
        port.any_name: tuple(axis.get_length() if axis.is_static else None for axis in port.partial_shape)
        for port in ports
    }


def _dtypes(ports: list[Any]) -> str:
    """The input types as numpy calls them."""
    return ", ".join(str(np.dtype(port.element_type.to_dtype())) for port in ports)
