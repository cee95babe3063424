#!/bin/sh
# onnx-ir 1.1.0, CommonSubexpressionEliminationPass: two nodes that do the same with the same become one. It leaves
# nodes that draw random numbers alone, those named Random..., and forgets two others: Dropout in training mode, which
# is how uncertainty is measured (Monte Carlo dropout, several draws in one graph), and Bernoulli. All draws become the
# same one, and the uncertainty is 0 for every picture. Nothing is said, and the checker takes the model before and
# after it.
#
# Seen (two draws from 1000 values, less each other; nodes before and after; numbers that differ, by ONNX Runtime 1.32.0):
#   RandomUniformLike: 3 nodes, 3 nodes; more than 400, more than 400
#   Dropout: 3 nodes, 2 nodes; more than 400, 0
#   Bernoulli: 3 nodes, 2 nodes; more than 400, 0
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check onnx-ir==1.1.0 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx
import onnx_ir
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnx_ir.passes.common import CommonSubexpressionEliminationPass

constants = [numpy_helper.from_array(np.float32(0.5), "ratio"), numpy_helper.from_array(np.bool_(True), "training")]


def differ(model):
    onnx.checker.check_model(model)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return int((session.run(None, {"x": np.full(1000, 0.5, np.float32)})[0] != 0).sum())


for kind, inputs in (("RandomUniformLike", ["x"]), ("Dropout", ["x", "ratio", "training"]), ("Bernoulli", ["x"])):
    nodes = [helper.make_node(kind, inputs, [name]) for name in "ab"] + [helper.make_node("Sub", ["a", "b"], ["y"])]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1000,))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1000,))],
        constants,
    )
    before = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    after = onnx_ir.to_proto(CommonSubexpressionEliminationPass()(onnx_ir.from_proto(before)).model)
    counts = len(before.graph.node), len(after.graph.node)
    seen = differ(before), differ(after)
    print(f"{kind}: {counts[0]} nodes, {counts[1]} nodes; {seen[0]}, {seen[1]}")
    assert seen[0] > 400, seen
    if kind == "RandomUniformLike":
        assert counts == (3, 3) and seen[1] > 400
    else:
        assert counts == (3, 2) and seen[1] == 0
PYTHON
