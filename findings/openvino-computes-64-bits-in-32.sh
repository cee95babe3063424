#!/bin/sh
# OpenVINO 2026.4.1, CPU: inputs and outputs of INT64 and FLOAT64 keep their types outside, and are computed in 32 bits
# inside. Even Identity wraps a time in milliseconds, and a sum of FLOAT64 has the digits of FLOAT32; nothing is logged,
# and the answers are numpy arrays of int64 and float64 all the same.
#
# Seen (ONNX Runtime 1.32.0, OpenVINO):
#   Identity of int64 3000000000: 3000000000, -1294967296
#   Identity of int64 1795220801345: 1795220801345, -75528383
#   Add of float64 16777217 and itself: 33554434.0, 33554432.0
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openvino==2026.4.1 onnxruntime==1.32.0 onnx==1.23.2 \
    numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx.parser
import onnxruntime
import openvino as ov

core = ov.Core()
for what, kind, node, value, wanted in (
    ("Identity of int64 3000000000", "int64", "Identity(x)", 3_000_000_000, [3_000_000_000, -1_294_967_296]),
    ("Identity of int64 1795220801345", "int64", "Identity(x)", 1_795_220_801_345, [1_795_220_801_345, -75_528_383]),
    ("Add of float64 16777217 and itself", "double", "Add(x, x)", 16_777_217.0, [33_554_434.0, 33_554_432.0]),
):
    text = f'<ir_version: 8, opset_import: ["" : 17]> g ({kind}[1] x) => ({kind}[1] y) {{ y = {node} }}'
    data = onnx.parser.parse_model(text).SerializeToString()
    given = np.array([value])
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    compiled = core.compile_model(core.read_model(data), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answers = session.run(None, {"x": given})[0], compiled(given)[0]
    assert [answer.dtype for answer in answers] == [given.dtype] * 2
    found = [answer.item() for answer in answers]
    print(f"{what}: {found[0]}, {found[1]}")
    assert found == wanted, (found, wanted)
PYTHON
