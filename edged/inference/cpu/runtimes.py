"""The libraries and precisions that can run models on the CPU. Each library is imported only where it is used."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from edged.errors import ConfigError
from edged.inference.session import Session
from engines.card import Card

CpuRuntime = Literal["onnxruntime", "openvino"]
CpuPrecision = Literal["fp32", "int8", "bf16"]
ModelFiles = Mapping[CpuPrecision, Path]  # "fp32" always

RUNTIMES: tuple[CpuRuntime, ...] = ("onnxruntime", "openvino")  # the first is the reference


class Candidate(NamedTuple):
    """What may run the models on the CPU."""

    runtime: CpuRuntime
    precision: CpuPrecision

    def __str__(self) -> str:
        return f"{self.runtime} {self.precision}"


REFERENCE = Candidate("onnxruntime", "fp32")


class CpuSession(Session, Protocol):
    """A session on the CPU. `warm_up` allocates what a frame with that many subjects needs."""

    def warm_up(self, subjects: int) -> None: ...


def candidates(runtime: Literal["auto"] | CpuRuntime, precision: CpuPrecision) -> tuple[Candidate, ...]:
    """What a configuration allows here, FP32 first: what is used unless another one is measured to be faster.

    Raises `ConfigError` where it asks for a library that is not installed.
    """
    if (runtime == "openvino" or precision == "bf16") and not is_installed("openvino"):
        key = "cpu_runtime = 'openvino'" if runtime == "openvino" else "precision = 'bf16'"
        raise ConfigError(f"compute.{key}: OpenVINO is not installed; in a clone: pip install '.[openvino]'")
    runtimes = [name for name in RUNTIMES if is_installed(name)] if runtime == "auto" else [runtime]
    precisions: tuple[CpuPrecision, ...] = ("fp32",) if precision == "fp32" else ("fp32", precision)
    found = (Candidate(name, kind) for kind in precisions for name in runtimes or RUNTIMES[:1])
    return tuple(one for one in found if one != ("onnxruntime", "bf16"))  # which does not know it


def is_installed(runtime: CpuRuntime) -> bool:
    return find_spec(runtime) is not None


def open_session(
    candidate: Candidate, card: Card, files: ModelFiles, threads: int, frames_at_once: int = 1
) -> CpuSession:
    """A model that has no file of that precision runs in FP32. Raises `ModelMissing`, `CardError`.

    `threads` are those of one frame, of `frames_at_once`.
    """
    file = files.get(candidate.precision, files["fp32"])
    if candidate.runtime == "onnxruntime":
        from edged.inference.cpu.onnxruntime import OrtSession  # noqa: PLC0415  (only what runs is loaded)

        return OrtSession(card, file, threads)
    from edged.inference.cpu.openvino import OpenVinoSession  # noqa: PLC0415

    return OpenVinoSession(card, file, threads, bf16=candidate.precision == "bf16", frames_at_once=frames_at_once)
