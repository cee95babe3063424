"""ONNX models on OpenVINO's CPU device: sessions of the backend, where the trial finds them faster than ONNX Runtime.

Imported only where it runs: the library costs memory and start-up time.
"""

from __future__ import annotations

from pathlib import Path
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
    """

    def __init__(self, card: Card, path: Path, threads: int = 0, *, bf16: bool = False) -> None:
        """`threads` 0: one per CPU that this process may use. Raises `ModelMissing` on a refusal, and `CardError`."""
        self.card = card
        core = ov.Core()
        if bf16 and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise ModelMissing(f"model {card.name}: this CPU does not compute in BF16; choose another precision")
        try:
            model = core.read_model(path)
            card.describes(_shapes(model.inputs), _shapes(model.outputs), takes=_dtypes(model.inputs))
            self._fixed_batch = _shapes(model.inputs)[card.input.name][0]
            compiled = core.compile_model(model, "CPU", _options(threads or allowed_cpus(), bf16=bf16))
        except RuntimeError as refusal:
            raise ModelMissing(
                f"model {card.name}: OpenVINO refuses {path}: {first_line(refusal)}; "
                f"check it with `edged models verify {card.name}`, or set compute.cpu_runtime = 'onnxruntime'"
            ) from refusal
        self._request: Any = compiled.create_infer_request()
        self._outputs = [compiled.output(output.name) for output in card.outputs]

    def warm_up(self, subjects: int) -> None:
        """Compile the kernels of a frame with one subject, and with that many, and allocate what they need."""
        width, height = self.card.input.size_wh
        for batch in sorted({1, min(subjects, self.card.batches[-1])}):
            try:
                run_in_parts(self._run, np.zeros((batch, 3, height, width), np.float32), self._fixed_batch)
            except RuntimeError:  # it comes back with the first frame
                return

    def run(self, tensor: F32) -> list[F32]:
        return run_checked(self.card, self._run, tensor, self._fixed_batch, (RuntimeError,))

    def close(self) -> None:
        """Nothing to release: a request goes with its last reference."""

    def _run(self, tensor: F32) -> list[F32]:
        found = self._request.infer([np.ascontiguousarray(tensor)], share_inputs=True)
        return [found[port] for port in self._outputs]


def _options(threads: int, *, bf16: bool) -> dict[str, Any]:
    return {
        "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
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
