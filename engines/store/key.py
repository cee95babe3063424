"""What makes an engine the right one: everything it was built from, by, and for. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields

from engines.bindings import TensorRT
from engines.machine import Machine

FORMAT = 1  # of the store; raised when older plans are not to be used any more
DIGITS = 20  # of the digest, in hexadecimal


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """How TensorRT is asked to build."""

    level: int = 3  # builder_optimization_level, 0 quick .. 5 thorough
    workspace_mb: int = 512
    profiles: tuple[tuple[int, int, int], ...] = ()  # batch sizes: least, best, most; none where the batch is fixed


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineKey:
    """Two engines with the same key are the same."""

    onnx: str  # sha256 of the prepared model
    precision: str
    level: int
    workspace_mb: int
    profiles: tuple[tuple[int, int, int], ...]
    flavour: str
    tensorrt: str
    gpu: str | None
    sm: str | None
    gpu_gb: int | None
    driver: str | None
    l4t: str | None
    format: int = FORMAT

    @staticmethod
    def of(onnx: str, precision: str, options: BuildOptions, trt: TensorRT, machine: Machine) -> EngineKey:
        made = {**asdict(options), "flavour": trt.flavour, "tensorrt": trt.version, **asdict(machine)}
        return EngineKey(onnx=onnx, precision=precision, **made)

    @staticmethod
    def read(table: dict[str, object]) -> EngineKey:
        """From JSON. Raises TypeError or ValueError when it is no key."""
        profiles = tuple(tuple(profile) for profile in table.pop("profiles"))  # type: ignore[attr-defined]  # of JSON
        return EngineKey(**table, profiles=profiles)  # type: ignore[arg-type]

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:DIGITS]


FIELD_TEXT = {
    "onnx": "the model, or how it is prepared, has changed",
    "precision": "another precision is asked for",
    "level": "another optimization level is asked for",
    "workspace_mb": "another workspace is asked for",
    "profiles": "other batch sizes are asked for",
    "flavour": "it is of another TensorRT product",
    "tensorrt": "TensorRT has changed",
    "gpu": "it was built for another GPU",
    "sm": "it was built for another kind of GPU",
    "gpu_gb": "it was built for a board with other memory",
    "driver": "the driver has changed",
    "l4t": "JetPack has changed",
    "format": "the store's format has changed",
}


ROOTS = ("l4t", "gpu", "sm", "gpu_gb")  # what other fields change with
UNREADABLE = ("onnx", "profiles")


def cause(built: EngineKey, wanted: EngineKey) -> str:
    """The one difference that explains the others: `JetPack has changed: 36.4.3, now 36.5.0`; empty without any."""
    for name in (*ROOTS, *FIELD_TEXT):
        was, now = getattr(built, name), getattr(wanted, name)
        if was != now:
            return (
                FIELD_TEXT[name] if name in UNREADABLE else f"{FIELD_TEXT[name]}: {was or 'none'}, now {now or 'none'}"
            )
    return ""


def differences(built: EngineKey, wanted: EngineKey) -> list[str]:
    """Why an engine is not the one wanted, a sentence per field; empty when it is."""
    pairs = [(field.name, getattr(built, field.name), getattr(wanted, field.name)) for field in fields(EngineKey)]
    return [f"{name}: built {was}, here {now}: {FIELD_TEXT[name]}" for name, was, now in pairs if was != now]
