#!/bin/sh
# MNN 3.6.1 (CPU, x86-64), models converted from ONNX: operators whose numbers are others, without a word. Round takes
# halves away from zero and not to the even number. Mod with fmod=1 has the sign of the divisor. GatherElements and
# GatherND give 0 for a negative index, which counts from the end in ONNX. A cubic Resize by half pixels, the default,
# is wrong in its first row and column. ReduceLogSumExp takes inputs above 87 for 87. Shrink gives 0 for what is below
# minus the bound, and takes the bias off some that should be 0.
#
# Seen (onnxruntime 1.32.0, MNN):
#   Round of 0.5 1.5 2.5 -0.5: 0 2 2 -0, 1 2 3 -1
#   Mod of -7 and 7 by 3 and -3, fmod: -1 1, 2 -2
#   GatherElements -1 -2 of 1 2 3: 3 2, 0 0
#   GatherND (-1, -1) of 1 2 3, 4 5 6: 6, 0
#   Resize of 0 1 2 9 to 8, cubic: -0.11 0.19 0.67 1.09 1.07 3.69 7.45 9.74, 0.67 0.19 0.67 1.09 1.07 3.69 7.45 9.74
#   ReduceLogSumExp of 100 100: 100.69, 87.69
#   Shrink of -2 -1 1 2, bound 1.5, bias 0.5: -1.5 0 0 1.5, 0 -0.5 0 1.5
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
        ("Round of 0.5 1.5 2.5 -0.5", "Round", [0.5, 1.5, 2.5, -0.5], [], 17, {}, "0 2 2 -0, 1 2 3 -1"),
        (
            "Mod of -7 and 7 by 3 and -3, fmod",
            "Mod",
            [-7, 7],
            [numpy.array([3, -3], numpy.float32)],
            17,
            {"fmod": 1},
            "-1 1, 2 -2",
        ),
        (
            "GatherElements -1 -2 of 1 2 3",
            "GatherElements",
            [[1, 2, 3]],
            [[[-1, -2]]],
            17,
            {"axis": 1},
            "3 2, 0 0",
        ),
        (
            "GatherND (-1, -1) of 1 2 3, 4 5 6",
            "GatherND",
            [[1, 2, 3], [4, 5, 6]],
            [[[-1, -1]]],
            17,
            {},
            "6, 0",
        ),
        (
            "Resize of 0 1 2 9 to 8, cubic",
            "Resize",
            [[[[0, 1, 2, 9]]]],
            [None, None, [1, 1, 1, 8]],
            17,
            {"mode": "cubic"},
            "-0.11 0.19 0.67 1.09 1.07 3.69 7.45 9.74, 0.67 0.19 0.67 1.09 1.07 3.69 7.45 9.74",
        ),
        (
            "ReduceLogSumExp of 100 100",
            "ReduceLogSumExp",
            [[100, 100]],
            [],
            17,
            {"axes": [1]},
            "100.69, 87.69",
        ),
        (
            "Shrink of -2 -1 1 2, bound 1.5, bias 0.5",
            "Shrink",
            [-2, -1, 1, 2],
            [],
            17,
            {"lambd": 1.5, "bias": 0.5},
            "-1.5 0 0 1.5, 0 -0.5 0 1.5",
        ),
    ):
        found = ", ".join(both(operator, value, constants, opset, attributes))
        print(f"{what}: {found}", file=told, flush=True)
        assert found == wanted, (what, found)
PYTHON
test "$(grep --count 'Converted Success' notes)" = "$(wc -l <told)"
cat told
