"""Half precision, typed: every tensor's type is written in the graph, as TensorRT's strong typing reads it.

Islands stay in FP32: operations whose sums or powers leave FP16's range or lose its 11 bits, whatever the card
adds, and every node with a weight beyond 65504.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from engines.prepare.graph import refold, replace_items

FP32, FP16 = TensorProto.FLOAT, TensorProto.FLOAT16
FP16_MAX = 65504.0  # Source: IEEE 754-2019, binary16
FP32_OPS = {
    "ReduceL2",
    "ReduceL1",
    "ReduceSum",
    "ReduceMean",
    "ReduceSumSquare",
    "ReduceProd",
    "Pow",
    "Sqrt",
    "Exp",
    "Log",
}
FP32_OPS |= {"Softmax", "LogSoftmax", "LayerNormalization", "InstanceNormalization", "CumSum", "Range"}
FP32_INPUTS = {"Resize": (1, 2), "Upsample": (1,)}  # inputs that the standard wants in FP32, whatever the data is


def to_fp16(model: ModelProto, islands: Iterable[str], io: str) -> tuple[str, ...]:
    """Convert in place; the names of the nodes kept in FP32. `islands` are beginnings of names of further ones."""
    graph = model.graph
    weights = {w.name: numpy_helper.to_array(w) for w in graph.initializer if w.data_type == FP32}
    floats = _floats(graph) | weights.keys()
    wide = {n.name for n in graph.node if _needs_fp32(n, tuple(islands), weights)}
    outer = FP16 if io == "fp16" else FP32
    made: dict[str, int] = {value.name: outer for value in graph.input if value.name in floats}
    made |= {name: FP32 if n.name in wide else FP16 for n in graph.node for name in n.output if name in floats}
    typed = _Typed(graph, weights, made)
    for node in graph.node:
        typed.feed(node, FP32 if node.name in wide else FP16, floats)
    outputs = [value.name for value in graph.output if value.name in floats]
    # An island's output stays in FP32: rounding it would only make ties. Who reads one output reads all as its type.
    ends = dict.fromkeys(outputs, FP32 if io == "fp32" or any(made[name] == FP32 for name in outputs) else FP16)
    for name, kind in ends.items():
        typed.end(name, kind)
    replace_items(graph.node, typed.nodes)
    replace_items(graph.initializer, [*typed.weights.values(), *(w for w in graph.initializer if w.data_type != FP32)])
    for value in graph.input:
        value.type.tensor_type.elem_type = outer
    for value in graph.output:
        value.type.tensor_type.elem_type = ends.get(value.name, value.type.tensor_type.elem_type)
    refold(model)
    return tuple(sorted(wide))


class _Typed:
    """The graph as it is rewritten: casts where types meet, weights in the types they are read in."""

    def __init__(self, graph: GraphProto, weights: dict[str, np.ndarray], made: dict[str, int]) -> None:
        self.nodes: list[NodeProto] = []
        self.weights: dict[str, TensorProto] = {}
        self._values = weights
        self._made = made
        self._casts: set[str] = set()
        self._renamed: dict[str, str] = {}

    def feed(self, node: NodeProto, wanted: int, floats: set[str]) -> None:
        """Take a node over, its inputs in the type it works in."""
        for i, name in enumerate(node.input):
            if name in floats:
                node.input[i] = self._in(name, FP32 if i in FP32_INPUTS.get(node.op_type, ()) else wanted)
        for attribute in node.attribute:
            if attribute.name == "to" and attribute.i == FP32:
                attribute.i = wanted
            elif attribute.name == "value" and attribute.t.data_type == FP32:
                value = numpy_helper.to_array(attribute.t).astype(_numpy(wanted))
                attribute.t.CopyFrom(numpy_helper.from_array(value))
        self.nodes.append(node)

    def end(self, name: str, wanted: int) -> None:
        """Let an output have its name and the wanted type."""
        if self._made.get(name) == wanted:
            return
        inside = f"{name}_inside"
        for node in self.nodes:
            _rename(node.output, name, inside)
            _rename(node.input, name, inside)
        self.nodes.append(helper.make_node("Cast", [inside], [name], name=f"{name}_cast", to=wanted))

    def _in(self, name: str, wanted: int) -> str:
        if name in self._values:
            return self._weight(name, wanted)
        if self._made[name] == wanted:
            return name
        cast = f"{name}_as_{'fp32' if wanted == FP32 else 'fp16'}"
        if cast not in self._casts:
            self._casts.add(cast)
            self.nodes.append(helper.make_node("Cast", [name], [cast], name=cast, to=wanted))
        return cast

    def _weight(self, name: str, wanted: int) -> str:
        typed = name if wanted == FP16 else f"{name}_fp32"
        if typed not in self.weights:
            self.weights[typed] = numpy_helper.from_array(self._values[name].astype(_numpy(wanted)), typed)
        return typed


def _needs_fp32(node: NodeProto, islands: tuple[str, ...], weights: dict[str, np.ndarray]) -> bool:
    if node.op_type in FP32_OPS or node.name.startswith(islands):
        return True
    return any(np.abs(weights[name]).max(initial=0) > FP16_MAX for name in node.input if name in weights)


def _floats(graph: GraphProto) -> set[str]:
    """Every tensor that is FP32 before the conversion."""
    values = (*graph.input, *graph.output, *graph.value_info)
    return {value.name for value in values if value.type.tensor_type.elem_type == FP32}


def _numpy(kind: int) -> np.dtype:
    return np.dtype(np.float32 if kind == FP32 else np.float16)


def _rename(names: object, old: str, new: str) -> None:
    for i, name in enumerate(names):  # type: ignore[arg-type, var-annotated]  # a repeated field
        if name == old:
            names[i] = new  # type: ignore[index]
