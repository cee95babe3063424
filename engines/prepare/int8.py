"""INT8 as QDQ: convolutions read what was quantised and dequantised again; the rest of the graph stays in FP32.

In the one form that TensorRT, ONNX Runtime and OpenVINO all take: no zero points, one scale per activation, one per
output channel of a weight, biases in FP32. Upstream: ranges measured on pictures (`card.Int8`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper, version_converter

from engines.prepare.graph import refold, replace_items

INT8_MAX = 127  # symmetric: -128 is not used
# CPUs with AVX2 but without VNNI add two products of 8 bits in 16, which overflows: OpenVINO's result is then wrong,
# without a word. With weights of 7 bits it cannot.
WEIGHT_MAX = 63
MIN_OPSET = 13  # of scales per channel
QUANTISED_OPS = ("Conv",)


def convolutions(model: ModelProto) -> list[NodeProto]:
    """The nodes that INT8 can take: those whose weights are constant, in their order."""
    weights = {weight.name for weight in model.graph.initializer}
    return [node for node in model.graph.node if node.op_type in QUANTISED_OPS and node.input[1] in weights]


def to_int8(model: ModelProto, ranges: Mapping[str, float], fp32: Collection[str]) -> tuple[str, ...]:
    """Convert in place; the convolutions left in FP32.

    ranges  largest magnitude of each activation that a convolution reads
    fp32    names of convolutions to leave out
    An older model is converted to the opset that has scales per channel. Raises KeyError for an activation without a
    range, and what onnx raises for an operator that it cannot convert.
    """
    if next(one.version for one in model.opset_import if not one.domain) < MIN_OPSET:
        model.CopyFrom(version_converter.convert_version(model, MIN_OPSET))
        refold(model)  # axes that were attributes are constants now
    graph = model.graph
    chosen = {node.name for node in convolutions(model)} - set(fp32)
    quantised = _Quantised(graph, ranges)
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.name in chosen:
            nodes += quantised.feed(node)
        nodes.append(node)
    replace_items(graph.node, nodes)
    replace_items(graph.initializer, [*_still_used(graph), *quantised.weights])
    return tuple(sorted(node.name for node in convolutions(model) if node.name not in chosen))


class _Quantised:
    """Tensors that were quantised, each once however many convolutions read it."""

    def __init__(self, graph: GraphProto, ranges: Mapping[str, float]) -> None:
        self._values = {weight.name: numpy_helper.to_array(weight) for weight in graph.initializer}
        self._ranges = ranges
        self._done: set[str] = set()
        self.weights: list[TensorProto] = []

    def feed(self, node: NodeProto) -> Iterator[NodeProto]:
        """The nodes to put before a convolution, which then reads what they give."""
        data, weight = node.input[0], node.input[1]
        if data not in self._done:
            yield from self._activation(data)
        if weight not in self._done:
            yield self._weight(weight)
        self._done |= {data, weight}
        node.input[0], node.input[1] = f"{data}_dequantised", f"{weight}_dequantised"

    def _activation(self, name: str) -> Iterator[NodeProto]:
        scale = self._constant(f"{name}_scale", np.array(self._ranges[name] / INT8_MAX, np.float32))
        zero = self._constant(f"{name}_zero", np.array(0, np.int8))
        yield _node("QuantizeLinear", [name, scale, zero], f"{name}_int8")
        yield _node("DequantizeLinear", [f"{name}_int8", scale, zero], f"{name}_dequantised")

    def _weight(self, name: str) -> NodeProto:
        values = self._values[name]
        largest = np.abs(values).reshape(len(values), -1).max(axis=1)
        scales = (np.where(largest > 0, largest, 1) / WEIGHT_MAX).astype(np.float32)
        levels = np.rint(values / scales.reshape(-1, *[1] * (values.ndim - 1)))
        int8 = self._constant(f"{name}_int8", np.clip(levels, -WEIGHT_MAX, WEIGHT_MAX).astype(np.int8))
        scale = self._constant(f"{name}_scale", scales)
        zero = self._constant(f"{name}_zero", np.zeros(len(values), np.int8))
        return _node("DequantizeLinear", [int8, scale, zero], f"{name}_dequantised", axis=0)

    def _constant(self, name: str, values: np.ndarray) -> str:
        self.weights.append(numpy_helper.from_array(values, name))
        return name


def _node(kind: str, inputs: list[str], output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(kind, inputs, [output], name=output, **attributes)


def _still_used(graph: GraphProto) -> list[TensorProto]:
    used = {name for node in graph.node for name in node.input}
    return [weight for weight in graph.initializer if weight.name in used]
