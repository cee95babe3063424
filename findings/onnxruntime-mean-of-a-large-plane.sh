#!/bin/sh
# onnxruntime 1.32.0, CPU: GlobalAveragePool and ReduceMean add up all pixels of a plane in a few float32 sums, one
# number after the other. A sum that is a million times the next number no longer takes it up rightly, so the mean of a
# large picture is wrong in the third digit: one in which every pixel is 29300.1 (hundredths of a kelvin) is off by half a
# degree on average. numpy adds in pairs and OpenCV 5.0.0.93 in float64, and both are right. Averaging rows first and
# then their means (two ReduceMean) is right too. ReduceSum over the first axis stops at 16777216.
#
# Seen (1024 x 1280 pixels, all 29300.1; how far the mean is off; ones, added along the first axis):
#   numpy: less than 1
#   OpenCV: less than 1
#   ONNX Runtime, GlobalAveragePool: more than 20
#   ONNX Runtime, ReduceMean: more than 20
#   ONNX Runtime, rows, then their means: less than 1
#   ONNX Runtime, ReduceSum of 20000000 ones: 16777216
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6 \
    opencv-python-headless==5.0.0.93
"$folder/venv/bin/python" - <<'PYTHON'
import cv2
import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

PLANE = np.full((1, 1, 1024, 1280), 29300.1, np.float32)


def model(nodes, shape, axes):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in axes.items()],
    )
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()


def run(data, values):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return float(session.run(None, {"x": values})[0].ravel()[0])


def show(name, mean, good):
    off = abs(mean - 29300.1)
    print(f"{name}: off by {off:.2f}")
    assert off < 1 if good else off > 20, off


both = model([helper.make_node("ReduceMean", ["x", "a"], ["y"])], PLANE.shape, {"a": [2, 3]})
pool = model([helper.make_node("GlobalAveragePool", ["x"], ["y"])], PLANE.shape, {})
nodes = [helper.make_node("ReduceMean", ["x", "a"], ["t"]), helper.make_node("ReduceMean", ["t", "b"], ["y"])]
steps = model(nodes, PLANE.shape, {"a": [3], "b": [2]})
show("numpy", float(PLANE.mean()), True)
show("OpenCV", cv2.mean(PLANE[0, 0])[0], True)
show("ONNX Runtime, GlobalAveragePool", run(pool, PLANE), False)
show("ONNX Runtime, ReduceMean", run(both, PLANE), False)
show("ONNX Runtime, rows, then their means", run(steps, PLANE), True)
ones = np.ones((20_000_000, 2), np.float32)
total = run(model([helper.make_node("ReduceSum", ["x", "a"], ["y"])], ones.shape, {"a": [0]}), ones)
print(f"ONNX Runtime, ReduceSum of 20000000 ones: {total:.0f}")
assert total == 2**24
PYTHON
