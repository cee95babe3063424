#!/bin/sh
# onnxruntime 1.32.0, CPU: Resize with antialias = 1 (opset 18) of an INT8 tensor gives 0 for each negative value:
# results are cut to 0..255, as for UINT8. With antialias = 0 they are right, and so are FLOAT and INT32. Nobody has to
# write an INT8 Resize for that: quantize_static puts one between QuantizeLinear and DequantizeLinear in its format
# QOperator (activation_type=QInt8), and all that is negative in the feature map is gone. In its format QDQ the Resize
# is computed in FLOAT, and right.
#
# Seen (-100 -100 100 100, enlarged to 8, linear; all scales 1):
#   INT8, antialias 0: -100 -100 -100 -50 50 100 100 100
#   INT8, antialias 1: 0 0 0 0 50 100 100 100
#   INT32, antialias 1: -100 -100 -100 -50 50 100 100 100
#   FLOAT, antialias 1: -100 -100 -100 -50 50 100 100 100
#   as by QOperator, antialias 1: 0 0 0 0 50 100 100 100
#   QDQ, antialias 1: -100 -100 -100 -50 50 100 100 100
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

ROW = np.array([-100, -100, 100, 100]).reshape(1, 1, 1, 4).repeat(4, 2)
RIGHT = [-100, -100, -100, -50, 50, 100, 100, 100]
LOST = [0, 0, 0, 0, 50, 100, 100, 100]
CONSTANTS = {"sizes": np.array([1, 1, 4, 8]), "one": np.float32(1), "zero": np.int8(0)}


def show(name, nodes, kind, expected):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, ROW.shape)],
        [helper.make_tensor_value_info("y", kind, (1, 1, 4, 8))],
        [numpy_helper.from_array(value, key) for key, value in CONSTANTS.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    values = session.run(None, {"x": ROW.astype(helper.tensor_dtype_to_np_dtype(kind))})[0]
    seen = [int(value) for value in values[0, 0, 1]]
    print(f"{name}: {' '.join(map(str, seen))}")
    assert seen == expected, expected


def resize(source, target, antialias):
    return helper.make_node("Resize", [source, "", "", "sizes"], [target], mode="linear", antialias=antialias)


show("INT8, antialias 0", [resize("x", "y", 0)], TensorProto.INT8, RIGHT)
show("INT8, antialias 1", [resize("x", "y", 1)], TensorProto.INT8, LOST)
show("INT32, antialias 1", [resize("x", "y", 1)], TensorProto.INT32, RIGHT)
show("FLOAT, antialias 1", [resize("x", "y", 1)], TensorProto.FLOAT, RIGHT)
last = ["one", "zero"]
first = helper.make_node("QuantizeLinear", ["x", *last], ["a"])
bytes_only = [first, resize("a", "d", 1), helper.make_node("DequantizeLinear", ["d", *last], ["y"])]
show("as by QOperator, antialias 1", bytes_only, TensorProto.FLOAT, LOST)
pairs = [
    first,
    helper.make_node("DequantizeLinear", ["a", *last], ["b"]),
    resize("b", "c", 1),
    helper.make_node("QuantizeLinear", ["c", *last], ["d"]),
    helper.make_node("DequantizeLinear", ["d", *last], ["y"]),
]
show("QDQ, antialias 1", pairs, TensorProto.FLOAT, RIGHT)
PYTHON
