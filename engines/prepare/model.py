"""What preparation gives: one ONNX model that TensorRT can build, and what is known of it. Needs no onnx."""

from __future__ import annotations

from dataclasses import dataclass

from engines.card import Family, Precision

Batch = int | tuple[int, int, int]  # fixed, or least, best and most of a dynamic one
BATCH_AXIS = "batch"  # name of a dynamic one


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorShape:
    """One input or output."""

    name: str
    dtype: str  # numpy's name
    shape: tuple[int | None, ...]  # None: the dynamic batch


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedModel:
    """A model ready to be built."""

    onnx: bytes
    sha256: str
    family: Family  # how its outputs are decoded: without NMS inside, another one than the card's
    precision: Precision
    batch: Batch
    inputs: tuple[TensorShape, ...]
    outputs: tuple[TensorShape, ...]
    islands: tuple[str, ...]  # nodes kept in FP32; of INT8: convolutions
