"""A prepared model on ONNX Runtime: the reference that engines are proved against, and FP16 before it is built."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort

from edged.frame import F32


class OnnxRunner:
    """Takes float32 and gives float32, whatever the model's own types are."""

    def __init__(self, model: bytes) -> None:
        options = ort.SessionOptions()
        options.log_severity_level = 3  # errors only
        self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        (self._input,) = self._session.get_inputs()
        self._dtype = np.float16 if "float16" in self._input.type else np.float32

    def run(self, tensor: F32) -> list[F32]:
        outputs = self._session.run(None, {self._input.name: tensor.astype(self._dtype)})
        return [output.astype(np.float32) for output in outputs]

    def close(self) -> None:
        """Nothing to release: a session goes with its last reference."""
