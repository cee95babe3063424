"""One ONNX model on ONNX Runtime, checked against its card when it is loaded."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnxruntime as ort

from edged.errors import ModelFault, ModelMissing
from edged.frame import F32
from edged.inference.decode.detectors import check_finite
from engines.card import Axis, Card

ORT_ERRORS = (
    ort.capi.onnxruntime_pybind11_state.Fail,
    ort.capi.onnxruntime_pybind11_state.InvalidArgument,
    ort.capi.onnxruntime_pybind11_state.InvalidGraph,
    ort.capi.onnxruntime_pybind11_state.InvalidProtobuf,
    ort.capi.onnxruntime_pybind11_state.NoSuchFile,
    ort.capi.onnxruntime_pybind11_state.NotImplemented,
    ort.capi.onnxruntime_pybind11_state.RuntimeException,
)


class OrtSession:
    """Runs (B, 3, H, W) float32 tensors. Not thread-safe by contract: one compute thread owns it."""

    def __init__(self, card: Card, path: Path, threads: int = 0) -> None:
        """Load the file; raise `ModelMissing` if ONNX Runtime refuses it, `CardError` if it is not the card's."""
        self.card = card
        try:
            self._session = ort.InferenceSession(path, _options(threads), providers=["CPUExecutionProvider"])
        except ORT_ERRORS as refusal:
            raise ModelMissing(
                f"model {card.name}: ONNX Runtime refuses {path}: {first_line(refusal)}; "
                f"check it with `edged models verify {card.name}`"
            ) from refusal
        inputs = self._session.get_inputs()
        card.describes(_tensors(inputs), _tensors(self._session.get_outputs()), takes=_dtypes(inputs))
        self._outputs = [output.name for output in card.outputs]

    def warm_up(self, subjects: int) -> None:
        """Take the memory now that a frame of so many subjects will need; a larger one adds to it once.

        ONNX Runtime's arena grows with the largest batch so far and keeps it: otherwise a step for each first time,
        weeks apart. It lays its blocks out anew in the second run. What fails here is told by the first frame.
        """
        width, height = self.card.input.size_wh
        nothing = np.zeros((subjects if self.card.task == "pose" else 1, 3, height, width), np.float32)
        with suppress(*ORT_ERRORS):
            for _ in range(2):
                self._session.run(self._outputs, {self.card.input.name: nothing})

    def run(self, tensor: F32) -> list[F32]:
        """The outputs in the card's order; raises `ModelFault` on NaN, infinity, or a failed run."""
        try:
            outputs: list[F32] = self._session.run(self._outputs, {self.card.input.name: tensor})
        except ORT_ERRORS as refusal:
            raise ModelFault(f"model {self.card.name}: run failed: {first_line(refusal)}; frame given up") from refusal
        check_finite(self.card.name, outputs)
        return outputs

    def close(self) -> None:
        """Nothing to release: a session goes with its last reference."""


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.log_severity_level = 3  # errors only
    options.intra_op_num_threads = threads or os.cpu_count() or 1
    # Detector and pose run in turns: a pool that still spins when the other one works takes a core from it.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


def _tensors(nodes: list[ort.NodeArg]) -> dict[str, tuple[Axis, ...]]:
    """Names and shapes; an axis that the file leaves open is None."""
    return {node.name: tuple(axis if isinstance(axis, int) else None for axis in node.shape) for node in nodes}


def _dtypes(nodes: list[ort.NodeArg]) -> str:
    """What numbers they take, as numpy calls them: ONNX Runtime's float is float32."""
    kinds = (node.type.removeprefix("tensor(").removesuffix(")") for node in nodes)
    return ", ".join("float32" if kind == "float" else kind for kind in kinds)


def first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
