"""A half-precision graph in FP32 that rounds every tensor to FP16 where the graph holds one.

Downstream: the check of a prepared model before its engine is built. Kernels that fuse nodes keep some of these tensors
wider: this is the strict reading of the graph.
"""

from __future__ import annotations

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from engines.prepare.graph import replace_items

FP32, FP16 = TensorProto.FLOAT, TensorProto.FLOAT16


def round_at_fp16(model: ModelProto) -> None:
    """Rewrite the model, whose types are inferred, in place: all of it in FP32, rounded wherever it held FP16."""
    graph = model.graph
    values = [*graph.input, *graph.output, *graph.value_info]
    half = {value.name for value in values if _kind(value) == FP16}
    nodes = [rounding for value in graph.input if value.name in half for rounding in _rounding(value.name, "")]
    inputs = {value.name: f"{value.name}_rounded" for value in graph.input if value.name in half}
    for node in graph.node:
        _widen(node)
        replace_items(node.input, [inputs.get(name, name) for name in node.input])
        rounded = [name for name in node.output if name in half]
        replace_items(node.output, [f"{name}_wide" if name in half else name for name in node.output])
        nodes += [node, *(cast for name in rounded for cast in _rounding(f"{name}_wide", name))]
    replace_items(graph.node, nodes)
    _widen_weights(graph)
    for value in values:
        if _kind(value) == FP16:
            value.type.tensor_type.elem_type = FP32


def _rounding(wide: str, name: str) -> tuple[NodeProto, NodeProto]:
    """`wide` to FP16 and back, as `name`; by default as `wide` with an ending."""
    half = f"{wide}_half"
    return (
        helper.make_node("Cast", [wide], [half], name=half, to=FP16),
        helper.make_node("Cast", [half], [name or f"{wide}_rounded"], name=f"{half}_back", to=FP32),
    )


def _widen(node: NodeProto) -> None:
    for attribute in node.attribute:
        if attribute.name == "to" and attribute.i == FP16:
            attribute.i = FP32
        elif attribute.name == "value" and attribute.t.data_type == FP16:
            attribute.t.CopyFrom(_wide(attribute.t))


def _widen_weights(graph: GraphProto) -> None:
    replace_items(graph.initializer, [_wide(one) if one.data_type == FP16 else one for one in list(graph.initializer)])


def _wide(tensor: TensorProto) -> TensorProto:
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name)


def _kind(value: ValueInfoProto) -> int:
    return int(value.type.tensor_type.elem_type)
