"""From a catalogue model to the ONNX that TensorRT builds: cut, of fixed shape, folded, in half precision or INT8.

The same file in gives the same bytes out, on every machine. Needs onnx; nothing is run.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from engines.card import Card, Family, Precision
from engines.errors import CardError
from engines.prepare.model import Batch, PreparedModel, TensorShape

VERSION = 1  # of the preparation; part of what it makes


def prepare(
    card: Card, model: bytes, *, batch: Batch, precision: Precision = "fp16", io: Precision = "fp16"
) -> PreparedModel:
    """Raises `CardError` when the file is no ONNX, or cannot be prepared."""
    import onnx  # noqa: PLC0415  (slow, and not needed to run)
    from google.protobuf.message import DecodeError  # noqa: PLC0415

    from engines.prepare import graph  # noqa: PLC0415

    if precision == "int8":
        _check_int8(card, model)
    try:
        proto = onnx.load_model_from_string(model)
    except DecodeError as exc:
        raise CardError(f"model {card.name}: not a whole ONNX file ({exc}); pull it again") from exc
    family, islands = _cut_and_fold(proto, card, batch, precision, io)
    graph.name_plainly(proto, f"{card.name} v{VERSION}")
    data = proto.SerializeToString(deterministic=True)
    return PreparedModel(
        onnx=data,
        sha256=hashlib.sha256(data).hexdigest(),
        family=family,
        precision=precision,
        batch=batch,
        inputs=tuple(_tensor(value) for value in proto.graph.input),
        outputs=tuple(_tensor(value) for value in proto.graph.output),
        islands=islands,
    )


def batches(card: Card, model: bytes) -> tuple[int, ...]:
    """The batches to prepare the file for: the card's, but one for a 3D model that was exported for one person.

    A file that cannot be read has the card's; `prepare` refuses it. Needs onnx.
    """
    import onnx  # noqa: PLC0415
    from google.protobuf.message import DecodeError  # noqa: PLC0415

    if card.task not in {"lift", "root"}:
        return card.batches
    try:
        graph = onnx.load_model_from_string(model).graph
    except DecodeError:
        return card.batches
    weights = {weight.name for weight in graph.initializer}
    fixed = [value.type.tensor_type.shape.dim[0].dim_value for value in graph.input if value.name not in weights]
    return (1,) if fixed[:1] == [1] else card.batches


def _check_int8(card: Card, model: bytes) -> None:
    """Raises `CardError` unless the card's ranges were measured on this very file."""
    how = "python -m tools.precision measures it"
    if card.int8 is None:
        raise CardError(f"model {card.name}: its card has no INT8; want one of {', '.join(card.precisions)}, or {how}")
    if (got := hashlib.sha256(model).hexdigest()) != card.int8.sha256:
        raise CardError(
            f"model {card.name}: sha256 is {got}, its INT8 was measured on {card.int8.sha256}: "
            f"other weights have other ranges; {how}"
        )


def rounded_to_fp16(model: bytes) -> bytes:
    """A prepared model in FP32 that rounds wherever the model is in FP16; any other model as it is. Needs onnx.

    ONNX Runtime's CPU provider computes FP16 graphs in FP32, so that by itself it rounds their weights alone.
    """
    import onnx  # noqa: PLC0415
    from google.protobuf.message import DecodeError  # noqa: PLC0415

    from engines.prepare.rounding import round_at_fp16  # noqa: PLC0415

    try:
        proto = onnx.load_model_from_string(model)
    except DecodeError:
        return model  # for the runtime to refuse
    round_at_fp16(proto)
    return bytes(proto.SerializeToString())


def _cut_and_fold(
    proto: Any, card: Card, batch: Batch, precision: Precision, io: Precision
) -> tuple[Family, tuple[str, ...]]:
    """Change the ModelProto in place: what decodes its outputs then, and the nodes left in FP32. Raises `CardError`."""
    from engines.prepare import fp16, graph, int8  # noqa: PLC0415

    if quantised := next((node.op_type for node in proto.graph.node if graph.is_quantised(node)), None):
        raise CardError(
            f"model {card.name}: is quantised ({quantised}): ONNX Runtime runs it, but no engine is built of it; "
            "for an engine, import the model in FP32"
        )
    try:
        family = graph.cut_at_heads(proto, card)
        graph.make_static(proto, card, batch)
        if other := graph.other_float(proto.graph):  # of stored weights alone the casts are folded by now
            raise CardError(
                f"model {card.name}: computes in {other} in places: ONNX Runtime may run it, but no engine is built of "
                "it; for an engine, export the model in FP32"
            )
        if precision == "int8" and card.int8 is not None:
            return family, int8.to_int8(proto, card.int8.ranges, card.int8.fp32)
        return family, fp16.to_fp16(proto, card.fp32, io) if precision == "fp16" else ()
    except CardError:
        raise
    except Exception as exc:  # of onnx, which documents none: an operator, a type or a shape that it does not know
        reason = str(exc).strip().partition("\n")[0]
        raise CardError(
            f"model {card.name}: cannot be prepared for an engine ({type(exc).__name__}: {reason})"
        ) from exc


def _tensor(value: object) -> TensorShape:
    import onnx  # noqa: PLC0415

    kind = value.type.tensor_type  # type: ignore[attr-defined]  # a ValueInfoProto
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)).name
    shape = tuple(axis.dim_value or None for axis in kind.shape.dim)
    return TensorShape(name=value.name, dtype=dtype, shape=shape)  # type: ignore[attr-defined]
