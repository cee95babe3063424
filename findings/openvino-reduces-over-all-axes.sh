#!/bin/sh
# OpenVINO 2026.4.1, models in ONNX of opset 13 to 17: ReduceL1, ReduceLogSum and ReduceLogSumExp do not read their
# axes, which are an attribute there, and reduce over everything, the batch too. The sizes that this makes of (2, 2) are
# (1, 1), which fits whatever comes next by broadcasting, so that nothing fails. In opsets 11 and 18 all is right, and
# so are ReduceSum, ReduceMean, ReduceMax and ReduceL2 in each of them: a model that was right can be wrong after the
# version converter, which leaves an attribute where it is. A normalisation by the sum of absolute values, and a softmax
# that is written out by logarithms, mix all subjects of a batch. onnxruntime 1.32.0 is right in all.
#
# Seen (rows 3 4 and 6 8, reduced along the second axis; ONNX Runtime, OpenVINO):
#   ReduceL1, opset 11: 7 14, 7 14
#   ReduceL1, opset 13: 7 14, 21
#   ReduceL1, opset 17: 7 14, 21
#   ReduceL1, opset 18: 7 14, 7 14
#   ReduceLogSum, opset 17: 1.95 2.64, 3.04
#   ReduceLogSumExp, opset 17: 4.31 8.13, 8.15
#   ReduceL2, opset 17: 5 10, 5 10
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openvino==2026.4.1 onnxruntime==1.32.0 \
    onnx==1.23.2 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy
import onnx
import onnxruntime
import openvino
from onnx import helper, numpy_helper

ROWS = numpy.array([[3, 4], [6, 8]], numpy.float32)


def both(operator, opset):
    attribute = opset < 18
    inputs, attributes = (["x"], {"axes": [1]}) if attribute else (["x", "axes"], {})
    graph = helper.make_graph(
        [helper.make_node(operator, inputs, ["y"], **attributes)],
        "graph",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ROWS.shape)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2, 1])],
        [] if attribute else [numpy_helper.from_array(numpy.array([1]), "axes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    data = model.SerializeToString()
    right = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, {"x": ROWS})[0]
    core = openvino.Core()
    answer = core.compile_model(core.read_model(data, b""), "CPU")(ROWS)[0]
    return [" ".join(f"{value:g}" for value in each.round(2).flat) for each in (right, answer)]


for operator, opset, wanted in (
    ("ReduceL1", 11, "7 14, 7 14"),
    ("ReduceL1", 13, "7 14, 21"),
    ("ReduceL1", 17, "7 14, 21"),
    ("ReduceL1", 18, "7 14, 7 14"),
    ("ReduceLogSum", 17, "1.95 2.64, 3.04"),
    ("ReduceLogSumExp", 17, "4.31 8.13, 8.15"),
    ("ReduceL2", 17, "5 10, 5 10"),
):
    found = ", ".join(both(operator, opset))
    print(f"{operator}, opset {opset}: {found}")
    assert found == wanted, found
PYTHON
