"""What an ONNX file says of its own inputs and outputs, where the onnx package is there to read it."""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from engines.card import Axis, Card
from engines.errors import CardError
from engines.store.onnx_wire import NotWhole, external_data

Shapes = dict[str, tuple[Axis, ...]]
FIRST_BYTE = b"\x08"  # field 1 of a ModelProto, its version, which every exporter writes first


def check_tensors(card: Card, path: Path) -> bool:
    """Compare the file with the card; False when onnx is not installed. Raises `CardError`."""
    with path.open("rb") as file:
        start = file.read(16)
    if start[:1] != FIRST_BYTE:
        raise CardError(f"model {card.name}: {path.name} is not an ONNX file, it starts with {start!r}")
    try:
        other = external_file(path)
    except NotWhole as exc:
        raise CardError(f"model {card.name}: {path.name} is not a whole ONNX file: it {exc}; get it again") from exc
    if other is not None:
        raise CardError(
            f"model {card.name}: its weights are in a second file, {other!r}, which has no hash; "
            "merge both, then import whole.onnx: "
            "python -c \"import onnx; onnx.save(onnx.load('MODEL.onnx'), 'whole.onnx')\""
        )
    try:
        import onnx  # noqa: PLC0415  (optional, and slow to import)
        from google.protobuf.message import DecodeError  # noqa: PLC0415
    except ImportError:
        return False
    try:
        graph = onnx.load(path, load_external_data=False).graph
    except DecodeError as exc:
        raise CardError(f"model {card.name}: {path.name} is not a whole ONNX file ({exc})") from exc
    weights = {weight.name for weight in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    takes = [onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name for value in inputs]
    card.describes(_shapes(inputs), _shapes(graph.output), takes=", ".join(takes))
    return True


def external_file(path: Path) -> str | None:
    """The name of the file that holds weights of this ONNX file; None: they are in it. Raises `NotWhole`."""
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        memoryview(data) as view,
    ):
        return external_data(view)


def _shapes(values: Iterable[Any]) -> Shapes:
    return {v.name: tuple(axis.dim_value or None for axis in v.type.tensor_type.shape.dim) for v in values}
