"""ONNX surgery: NMS cut away, the input's shape fixed, all that is constant folded, all that is unused dropped."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, TensorShapeProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from engines.card import Card, Family
from engines.errors import CardError
from engines.prepare.model import BATCH_AXIS

SHUFFLES = {"Reshape", "Gather", "Flatten", "Transpose", "Squeeze", "Unsqueeze"}  # between the heads and the NMS
QUANTISED = ("QLinear", "QGemm", "QAttention", "Quantize", "Dequantize", "DynamicQuantize")  # begin so
OTHER_FLOATS = {TensorProto.FLOAT16: "float16", TensorProto.BFLOAT16: "bfloat16", TensorProto.DOUBLE: "float64"}
# Left to the runtime: onnx's reference evaluator gives other numbers (1.23.2: ceil_mode and SAME_LOWER of pools,
# align_corners with scales, a Softmax before opset 13).
NOT_FOLDED = {"AveragePool", "MaxPool", "Resize", "Upsample", "Softmax", "LogSoftmax", "Hardmax"}
MAX_FOLD_ELEMENTS = 1 << 22  # elements; what is larger is cheaper to compute than to ship
MAX_FOLD_ROUNDS = 20


def is_quantised(node: NodeProto) -> bool:
    """Whether the node computes in whole numbers, or converts to or from them."""
    return node.op_type.startswith(QUANTISED) or node.op_type.endswith(("Integer", "NBits"))


def other_float(graph: GraphProto) -> str:
    """The name of a floating type other than FP32 that a weight has or a node casts to; empty without one."""
    types = [weight.data_type for weight in graph.initializer]
    for node in graph.node:
        types += [attribute.i for attribute in node.attribute if node.op_type == "Cast" and attribute.name == "to"]
        types += [attribute.t.data_type for attribute in node.attribute if attribute.name == "value"]
    return next((OTHER_FLOATS[kind] for kind in types if kind in OTHER_FLOATS), "")


def cut_at_heads(model: ModelProto, card: Card) -> Family:
    """End the graph where boxes and scores are known, in place; the family that decodes what is left.

    Boxes (B, N, 4) x0 y0 x1 y1 and scores (B, N, C), all candidates; NMS belongs outside an engine, whose
    output shapes would else depend on the image. Raises `CardError` where there are several.
    """
    graph = model.graph
    suppression = [node for node in graph.node if node.op_type == "NonMaxSuppression"]
    if not suppression:
        return card.family
    if len(suppression) > 1:
        raise CardError(f"model {card.name}: {len(suppression)} NMS nodes; want one, or a model without")
    makers = {name: node for node in graph.node for name in node.output}
    heads = [_head(makers, name) for name in suppression[0].input[:2]]
    del graph.output[:]
    for head, name in zip(heads, ("boxes", "scores"), strict=True):
        graph.node.append(helper.make_node("Identity", [head], [f"{name}_raw"], name=f"{name}_raw"))
        graph.output.append(helper.make_tensor_value_info(f"{name}_raw", TensorProto.FLOAT, None))
    prune(graph)
    return "boxes"


def _head(makers: dict[str, NodeProto], name: str) -> str:
    """The tensor before it was sorted, gathered and reshaped for the NMS."""
    while name in makers and makers[name].op_type in SHUFFLES:
        name = makers[name].input[0]
    return name


def make_static(model: ModelProto, card: Card, batch: int | tuple[int, int, int]) -> None:
    """Fix all shapes but a dynamic batch, and fold, in place. Raises `CardError` for a batch the file cannot have."""
    if isinstance(batch, int):
        _fix_input(model, card, batch)
        fold(model)
        return
    single = ModelProto()
    single.CopyFrom(model)
    make_static(single, card, 1)
    _fix_input(model, card, None)
    for axes in (shapes := [value.type.tensor_type.shape for value in single.graph.output]):
        axes.dim[0].dim_param = BATCH_AXIS
    fold(model)
    _set_output_shapes(model, shapes)


def refold(model: ModelProto) -> None:
    """Fold once more, after a change that left all shapes as they were."""
    before = ModelProto()
    before.CopyFrom(model)
    fold(model)
    _set_output_shapes(model, [value.type.tensor_type.shape for value in before.graph.output])


def _set_output_shapes(model: ModelProto, shapes: list[TensorShapeProto]) -> None:
    """The shapes of the outputs, which inference loses where it cannot follow a dynamic batch."""
    for value, shape in zip(model.graph.output, shapes, strict=True):
        value.type.tensor_type.shape.CopyFrom(shape)


def _fix_input(model: ModelProto, card: Card, batch: int | None) -> None:
    """Give the input the card's size and this batch; None leaves the batch open."""
    width, height = card.input.size_wh
    weights = {weight.name for weight in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    _check_batch(card, inputs[0].type.tensor_type.shape.dim[0].dim_value, batch)
    for axis, length in zip(inputs[0].type.tensor_type.shape.dim, (batch, 3, height, width), strict=True):
        axis.Clear()
        if length is None:
            axis.dim_param = BATCH_AXIS
        else:
            axis.dim_value = length
    del model.graph.input[:]
    model.graph.input.extend(inputs)


def _check_batch(card: Card, exported: int, batch: int | None) -> None:
    """A batch that the exporter fixed is baked into the graph."""
    if exported not in (0, batch):
        wanted = "a dynamic batch" if batch is None else f"a batch of {batch}"
        raise CardError(f"model {card.name}: exported for a batch of {exported}; want {wanted}: export it with one")


def fold(model: ModelProto) -> None:
    """Compute all that does not depend on the image, in place, name every node, and infer every shape."""
    _constants_to_weights(model)
    for _ in range(MAX_FOLD_ROUNDS):
        _infer(model)
        if not _fold_once(model):
            break
        prune(model.graph)
    _without_identities(model.graph)
    prune(model.graph)
    _name_nodes(model.graph)
    _infer(model)


def prune(graph: GraphProto) -> None:
    """Drop nodes and weights that no output needs, in place."""
    needed = {value.name for value in graph.output}
    kept: list[NodeProto] = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    replace_items(graph.node, reversed(kept))
    replace_items(graph.initializer, [weight for weight in graph.initializer if weight.name in needed])


def name_plainly(model: ModelProto, name: str) -> None:
    """Leave nothing of where and when the file was made."""
    model.producer_name, model.producer_version, model.domain, model.doc_string = "edged", "", "", ""
    model.graph.name, model.graph.doc_string = name, ""
    del model.metadata_props[:]
    for node in model.graph.node:
        node.doc_string = ""


def _name_nodes(graph: GraphProto) -> None:
    """Every node its own name; exporters leave some out."""
    names: set[str] = set()
    for node in graph.node:
        node.name = node.name if node.name and node.name not in names else f"{node.op_type}_{node.output[0]}"
        names.add(node.name)


def _infer(model: ModelProto) -> None:
    del model.graph.value_info[:]
    for value in model.graph.output:  # what the exporter called an axis may be known by now
        value.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    model.graph.CopyFrom(inferred.graph)


def _constants_to_weights(model: ModelProto) -> None:
    """Whatever attribute holds them: `value`, or `value_ints` and its kin, as newer exporters write."""
    graph = model.graph
    for node in graph.node:
        if node.op_type == "Constant":
            held = node.attribute[0]
            tensor = held.t if held.name == "value" else numpy_helper.from_array(_values(model, node, {})[0])
            graph.initializer.add().CopyFrom(tensor)
            graph.initializer[-1].name = node.output[0]
    replace_items(graph.node, [node for node in graph.node if node.op_type != "Constant"])


def _fold_once(model: ModelProto) -> bool:
    """One pass over the graph; whether anything was folded."""
    graph = model.graph
    weights = {weight.name: weight for weight in graph.initializer}
    shapes = {v.name: _shape(v) for v in (*graph.value_info, *graph.input, *graph.output)}
    kept: list[NodeProto] = []
    for node in graph.node:
        values = _fold_values(model, node, weights, shapes)
        if values is None:
            kept.append(node)
            continue
        for name, value in zip(node.output, values, strict=True):
            weights[name] = numpy_helper.from_array(value, name)
            graph.initializer.append(weights[name])
    folded = len(kept) < len(graph.node)
    replace_items(graph.node, kept)
    return folded


def _fold_values(
    model: ModelProto, node: NodeProto, weights: dict[str, TensorProto], shapes: dict[str, tuple[int, ...] | None]
) -> list[np.ndarray] | None:
    """What a node gives whatever the image; None when it depends on it."""
    if node.op_type == "Shape" and (shape := shapes.get(node.input[0])) is not None:
        return [np.array(shape, np.int64)]
    if node.op_type in NOT_FOLDED or not all(name in weights for name in node.input if name):
        return None
    inputs = {name: numpy_helper.to_array(weights[name]) for name in node.input if name}
    values = _values(model, node, inputs)
    return values if sum(value.size for value in values) <= MAX_FOLD_ELEMENTS else None


def _values(model: ModelProto, node: NodeProto, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    return [np.asarray(value) for value in ReferenceEvaluator(_single_node_model(model, node)).run(None, inputs)]


def _single_node_model(model: ModelProto, node: NodeProto) -> ModelProto:
    """A model of this one node."""
    inputs, outputs = (
        [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in dict.fromkeys(names) if name]
        for names in (node.input, node.output)
    )
    return helper.make_model(helper.make_graph([node], "node", inputs, outputs), opset_imports=model.opset_import)


def _shape(value: onnx.ValueInfoProto) -> tuple[int, ...] | None:
    """None where an axis is open."""
    kind = value.type.tensor_type
    if not kind.HasField("shape") or not all(axis.HasField("dim_value") for axis in kind.shape.dim):
        return None
    return tuple(axis.dim_value for axis in kind.shape.dim)


def _without_identities(graph: GraphProto) -> None:
    """Identity nodes between others are passed by; weights that were shared through them become one."""
    outputs = {value.name for value in graph.output}
    same = {n.output[0]: n.input[0] for n in graph.node if n.op_type == "Identity" and n.output[0] not in outputs}
    for node in graph.node:
        for i, name in enumerate(node.input):
            while name in same:
                name = same[name]  # noqa: PLW2901  following a chain
            node.input[i] = name


def replace_items(field: object, items: Iterable[object]) -> None:
    items = list(items)
    del field[:]  # type: ignore[attr-defined]  # a repeated field
    field.extend(items)  # type: ignore[attr-defined]
