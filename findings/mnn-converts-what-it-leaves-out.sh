#!/bin/sh
# MNN 3.6.1, its converter from ONNX: attributes that it does not know are left out, and "Converted Success!" is all
# that it says. SAME_LOWER becomes SAME_UPPER (where the padding is odd the image moves by a pixel), MaxPool loses its
# dilations, which gives another size too, ConvTranspose with an output_shape gives zeros, Resize aliases with
# antialias, GridSample takes bicubic for bilinear and reflection for border, and ScatterND and ScatterElements
# overwrite where they should add, so that of several votes for a place one is left.
#
# Seen (1 to 6, or 1 to 3, or as told; onnxruntime 1.32.0, MNN):
#   Conv of three ones, SAME_UPPER: 6 12 11, 6 12 11
#   Conv of three ones, SAME_LOWER: 3 9 15, 6 12 11
#   MaxPool of three, SAME_LOWER: 2 4 6, 3 5 6
#   MaxPool of two, dilations of 2: 3 4 5 6, 2 3 4 5 6
#   ConvTranspose to 6: 1 3 2 5 3 3, 0 0 0 0 0 0
#   Resize of 0 0 0 1 0 0 0 1 to 2, antialias: 0.16 0.38, 0 0
#   GridSample of 0 1 2 3 at -0.2 and 1.6, bicubic: 1.14 -0.14, 1.1 0
#   GridSample of 0 1 2 3 at -0.2 and 1.6, reflection: 1.1 2.3, 1.1 3
#   ScatterND, 1 and 3 added to the first of 2 2: 6 2, 3 2
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
        (
            "Conv of three ones, SAME_UPPER",
            "Conv",
            [[[[1, 2, 3, 4, 5, 6]]]],
            [numpy.ones((1, 1, 1, 3), numpy.float32)],
            18,
            {"auto_pad": "SAME_UPPER", "strides": [1, 2]},
            "6 12 11, 6 12 11",
        ),
        (
            "Conv of three ones, SAME_LOWER",
            "Conv",
            [[[[1, 2, 3, 4, 5, 6]]]],
            [numpy.ones((1, 1, 1, 3), numpy.float32)],
            18,
            {"auto_pad": "SAME_LOWER", "strides": [1, 2]},
            "3 9 15, 6 12 11",
        ),
        (
            "MaxPool of three, SAME_LOWER",
            "MaxPool",
            [[[[1, 2, 3, 4, 5, 6]]]],
            [],
            18,
            {"auto_pad": "SAME_LOWER", "strides": [1, 2], "kernel_shape": [1, 3]},
            "2 4 6, 3 5 6",
        ),
        (
            "MaxPool of two, dilations of 2",
            "MaxPool",
            [[[[1, 2, 3, 4, 5, 6]]]],
            [],
            18,
            {"dilations": [1, 2], "strides": [1, 1], "kernel_shape": [1, 2]},
            "3 4 5 6, 2 3 4 5 6",
        ),
        (
            "ConvTranspose to 6",
            "ConvTranspose",
            [[[[1, 2, 3]]]],
            [numpy.ones((1, 1, 1, 3), numpy.float32)],
            18,
            {"strides": [1, 2], "output_shape": [1, 6]},
            "1 3 2 5 3 3, 0 0 0 0 0 0",
        ),
        (
            "Resize of 0 0 0 1 0 0 0 1 to 2, antialias",
            "Resize",
            [[[[0, 0, 0, 1, 0, 0, 0, 1]]]],
            [None, None, [1, 1, 1, 2]],
            18,
            {"mode": "linear", "antialias": 1},
            "0.16 0.38, 0 0",
        ),
        (
            "GridSample of 0 1 2 3 at -0.2 and 1.6, bicubic",
            "GridSample",
            [[[[0, 1, 2, 3]]]],
            [numpy.array([[[[-0.2, 0], [1.6, 0]]]], numpy.float32)],
            18,
            {"mode": "bicubic"},
            "1.14 -0.14, 1.1 0",
        ),
        (
            "GridSample of 0 1 2 3 at -0.2 and 1.6, reflection",
            "GridSample",
            [[[[0, 1, 2, 3]]]],
            [numpy.array([[[[-0.2, 0], [1.6, 0]]]], numpy.float32)],
            18,
            {"padding_mode": "reflection"},
            "1.1 2.3, 1.1 3",
        ),
        (
            "ScatterND, 1 and 3 added to the first of 2 2",
            "ScatterND",
            [2, 2],
            [[[0], [0]], numpy.array([1, 3], numpy.float32)],
            18,
            {"reduction": "add"},
            "6 2, 3 2",
        ),
    ):
        found = ", ".join(both(operator, value, constants, opset, attributes))
        print(f"{what}: {found}", file=told, flush=True)
        assert found == wanted, (what, found)
PYTHON
test "$(grep --count 'Converted Success' notes)" = "$(wc -l <told)"
cat told
