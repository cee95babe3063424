"""ONNX models on ONNX Runtime's CPU provider: as sessions of the backend, and as the reference of engine builds."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime as ort

from edged.errors import ModelMissing
from edged.frame import F32
from edged.inference.first_line import first_line
from edged.inference.session import run_checked, run_in_parts
from edged.runtime.cpus import allowed_cpus
from engines.card import Axis, Card
from engines.errors import BuildFailed
from engines.prepare import rounded_to_fp16

ORT_ERRORS = (
    ort.capi.onnxruntime_pybind11_state.Fail,
    ort.capi.onnxruntime_pybind11_state.InvalidArgument,
    ort.capi.onnxruntime_pybind11_state.InvalidGraph,
    ort.capi.onnxruntime_pybind11_state.InvalidProtobuf,
    ort.capi.onnxruntime_pybind11_state.NoSuchFile,
    ort.capi.onnxruntime_pybind11_state.NotImplemented,
    ort.capi.onnxruntime_pybind11_state.RuntimeException,
)
LOG_ERRORS_ONLY = 3  # ONNX Runtime's log_severity_level


class OrtSession:
    """A model file, checked against its card when it is loaded: a `Session`."""

    def __init__(self, card: Card, path: Path, threads: int = 0) -> None:
        """`threads` 0: one per CPU that this process may use.

        Raises `ModelMissing` when ONNX Runtime refuses the file, `CardError`.
        """
        self.card = card
        try:
            self._session = ort.InferenceSession(path, _options(threads), providers=["CPUExecutionProvider"])
        except ORT_ERRORS as refusal:
            raise ModelMissing(
                f"model {card.name}: ONNX Runtime refuses {path}: {first_line(refusal)}; "
                f"check it with `edged models verify {card.name}`"
            ) from refusal
        inputs = self._session.get_inputs()
        card.describes(_shapes(inputs), _shapes(self._session.get_outputs()), takes=_dtypes(inputs))
        self._fixed_batch = _shapes(inputs)[card.input.name][0]
        self._outputs = [output.name for output in card.outputs]

    def warm_up(self, subjects: int) -> None:
        """Allocate what a frame with that many subjects needs.

        ONNX Runtime's arena grows with the largest batch so far and keeps it; without this memory would grow in
        steps, weeks apart. It rearranges its blocks in the second run. An error here comes back with the first
        frame.
        """
        width, height = self.card.input.size_wh
        zeros = np.zeros((min(subjects, self.card.batches[-1]), 3, height, width), np.float32)
        with suppress(*ORT_ERRORS):
            for _ in range(2):
                run_in_parts(self._run, zeros, self._fixed_batch)

    def run(self, tensor: F32) -> list[F32]:
        return run_checked(self.card, self._run, tensor, self._fixed_batch, ORT_ERRORS)

    def close(self) -> None:
        """Nothing to release: a session goes with its last reference."""

    def _run(self, tensor: F32) -> list[F32]:
        outputs: list[F32] = self._session.run(self._outputs, {self.card.input.name: tensor})
        return outputs


class OnnxRunner:
    """A prepared model, as bytes: takes float32 and gives float32, and rounds wherever the model is in FP16."""

    def __init__(self, model: bytes) -> None:
        """Raises `BuildFailed` when ONNX Runtime refuses the model."""
        options = ort.SessionOptions()
        options.log_severity_level = LOG_ERRORS_ONLY
        try:
            self._session = ort.InferenceSession(rounded_to_fp16(model), options, providers=["CPUExecutionProvider"])
        except ORT_ERRORS as refusal:
            raise BuildFailed(f"ONNX Runtime refuses the prepared model: {first_line(refusal)}") from refusal
        (self._input,) = self._session.get_inputs()

    def run(self, tensor: F32) -> list[F32]:
        outputs: list[F32] = self._session.run(None, {self._input.name: tensor.astype(np.float32)})
        return outputs

    def close(self) -> None:
        """Nothing to release: a session goes with its last reference."""


@cache
def _share_arena() -> None:
    """Let all sessions of this process take their memory from one arena: they run in turn, frame by frame.

    Of the three default models with eight subjects this saves a third of what loading and running them takes. Without
    any arena the peak is no lower. Measured with ONNX Runtime 1.32 on glibc, 2026-11.
    """
    memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(memory, ort.OrtArenaCfg({}))


def _options(threads: int) -> ort.SessionOptions:
    _share_arena()
    options = ort.SessionOptions()
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.log_severity_level = LOG_ERRORS_ONLY
    options.intra_op_num_threads = threads or allowed_cpus()
    # Detector and pose take turns: a pool that still spins while the other works takes a core from it.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


def _shapes(nodes: list[ort.NodeArg]) -> dict[str, tuple[Axis, ...]]:
    """Shapes by name; an axis that the file leaves open is None."""
    return {node.name: tuple(axis if isinstance(axis, int) else None for axis in node.shape) for node in nodes}


def _dtypes(nodes: list[ort.NodeArg]) -> str:
    """The input types as numpy calls them: ONNX Runtime's float is float32."""
    types = (node.type.removeprefix("tensor(").removesuffix(")") for node in nodes)
    return ", ".join("float32" if name == "float" else name for name in types)
