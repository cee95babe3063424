#!/bin/sh
# onnxruntime 1.32.0, CPU (x86-64): quantize_dynamic puts a DynamicQuantizeLinear before each MatMul, which takes the range of the
# values at each run. A NaN among them (a joint that was not seen, a sensor that broke) drops out of the minimum and the maximum,
# and becomes 0 as a byte: the smallest value of the row, or 0 where all are above it. The float model answers NaN, and one
# can see that something is missing; the quantised one answers numbers, a few per cent beside those of the whole row. So a
# check for NaN behind the network works in tests with the float model and finds nothing in the field.
#
# Seen (64 values from 1 to 4, one of them NaN, in turn; a MatMul; runs of 64 whose result is all finite):
#   float model: 0
#   quantised model: at least 48
#   quantised, first value NaN: 24.61 33.29; with no NaN 24.74 33.17; float 24.95 33.22
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import logging
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic

logging.disable()
weights = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
graph = helper.make_graph(
    [helper.make_node("MatMul", ["x", "w"], ["y"])],
    "g",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 64))],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 8))],
    [numpy_helper.from_array(weights, "w")],
)
plain, quantised = sys.argv[1] + "/plain.onnx", sys.argv[1] + "/quantised.onnx"
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), plain)
quantize_dynamic(plain, quantised)
row = np.linspace(1, 4, 64, dtype=np.float32)[None]


def results(path):
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    whole = session.run(None, {"x": row})[0][0]
    rows = np.repeat(row[None], 64, axis=0)
    rows[range(64), 0, range(64)] = np.nan
    return whole, [session.run(None, {"x": one})[0][0] for one in rows]


def told(values):
    return " ".join(f"{value:.2f}" for value in values[:2])


float_whole, float_holes = results(plain)
byte_whole, byte_holes = results(quantised)
seen = sum(bool(np.isfinite(hole).all()) for hole in float_holes)
print(f"float model: {seen}")
assert seen == 0
seen = sum(bool(np.isfinite(hole).all()) for hole in byte_holes)
print(f"quantised model: {seen}")
assert seen >= 48
print(f"quantised, first value NaN: {told(byte_holes[0])}; with no NaN {told(byte_whole)}; float {told(float_whole)}")
assert np.isfinite(byte_holes[0]).all() and np.abs(byte_holes[0] - byte_whole).max() < 3
PYTHON
