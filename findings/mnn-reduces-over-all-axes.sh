#!/bin/sh
# MNN 3.6.1, its converter from ONNX: ReduceL2, ReduceL1, ReduceLogSum and ReduceLogSumExp of opset 18, where the axes
# are an input, lose them, and reduce over everything, the batch too; the result has no axes any more and is broadcast
# over what comes next. In opset 17 (axes as an attribute) all are right, and so are ReduceSum and ReduceMean in 18. A
# vector norm of PyTorch becomes a ReduceL2, and its exporter (2.13) writes opset 20: embeddings and features that are
# scaled to length 1 are scaled by the length of all of them together. The converter says "Converted Success!".
#
# Seen (rows 3 4 and 6 8, reduced along the second axis; onnxruntime 1.32.0, MNN):
#   ReduceL2, opset 17: 5 10, 5 10
#   ReduceL2, opset 18: 5 10, 11.18
#   ReduceL1, opset 18: 7 14, 21
#   ReduceLogSum, opset 18: 1.95 2.64, 3.04
#   ReduceLogSumExp, opset 18: 4.31 8.13, 8.15
#   ReduceSum, opset 18: 7 14, 7 14
#   ReduceMean, opset 18: 3.5 7, 3.5 7
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check MNN==3.6.1 onnx==1.23.2 onnxruntime==1.32.0 \
    numpy==2.4.6
cd "$folder"
venv/bin/python - >notes 2>&1 <<'PYTHON' || { cat notes; exit 1; }
import _tools  # what the command mnnconvert calls; itself it installs another package first
import numpy
import onnx
import onnxruntime
from MNN import expr, nn
from onnx import helper, numpy_helper


def both(operator, value, constants, opset, attributes):
    """Result of one operator by ONNX Runtime and by MNN, which converted the same file."""
    value = numpy.array(value, numpy.float32)
    names = ["x", *(f"c{place}" if one is not None else "" for place, one in enumerate(constants))]
    graph = helper.make_graph(
        [helper.make_node(operator, names, ["y"], **attributes)],
        "graph",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, value.shape)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(numpy.array(one), name) for one, name in zip(constants, names[1:]) if name],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, "model.onnx")
    session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
    right = session.run(None, {"x": value})[0]
    files = ["--modelFile", "model.onnx", "--MNNModel", "model.mnn"]
    _tools.mnnconvert(["mnnconvert", "-f", "ONNX", *files, "--bizCode", "MNN"])
    place = expr.placeholder(list(value.shape), expr.NCHW)
    place.write(value)
    [answer] = nn.load_module_from_file("model.mnn", ["x"], ["y"]).forward([place])
    if answer.data_format == expr.NC4HW4:
        answer = expr.convert(answer, expr.NCHW)
    return [" ".join(f"{one:g}" for one in numpy.array(each, float).round(2).flat) for each in (right, answer.read())]


with open("told", "w") as told:
    for what, operator, value, constants, opset, attributes, wanted in (
        ("ReduceL2, opset 17", "ReduceL2", [[3, 4], [6, 8]], [], 17, {"axes": [1]}, "5 10, 5 10"),
        ("ReduceL2, opset 18", "ReduceL2", [[3, 4], [6, 8]], [[1]], 18, {}, "5 10, 11.18"),
        ("ReduceL1, opset 18", "ReduceL1", [[3, 4], [6, 8]], [[1]], 18, {}, "7 14, 21"),
        ("ReduceLogSum, opset 18", "ReduceLogSum", [[3, 4], [6, 8]], [[1]], 18, {}, "1.95 2.64, 3.04"),
        ("ReduceLogSumExp, opset 18", "ReduceLogSumExp", [[3, 4], [6, 8]], [[1]], 18, {}, "4.31 8.13, 8.15"),
        ("ReduceSum, opset 18", "ReduceSum", [[3, 4], [6, 8]], [[1]], 18, {}, "7 14, 7 14"),
        ("ReduceMean, opset 18", "ReduceMean", [[3, 4], [6, 8]], [[1]], 18, {}, "3.5 7, 3.5 7"),
    ):
        found = ", ".join(both(operator, value, constants, opset, attributes))
        print(f"{what}: {found}", file=told, flush=True)
        assert found == wanted, (what, found)
PYTHON
test "$(grep --count 'Converted Success' notes)" = "$(wc -l <told)"
cat told
