#!/bin/sh
# OpenVINO 2026.4.1, CPU: Add, Sub and Mul of UINT8 stop at 0 and 255. ONNX Runtime 1.32.0 and the reference evaluator of
# onnx 1.23.2 wrap around, as numpy does. A graph that takes the difference of two frames as bytes, or a checksum, has
# other values on OpenVINO; neither way is refused. Cast from FLOAT wraps on both (300 gives 44).
#
# Seen (200 and 100; ONNX Runtime, reference, OpenVINO):
#   Add: 44, 44, 255
#   Sub, 100 less 200: 156, 156, 0
#   Mul: 32, 32, 255
#   Cast of 300.0: 44, 44, 44
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openvino==2026.4.1 onnxruntime==1.32.0 onnx==1.23.2 \
    numpy==2.4.6
"$folder/venv/bin/python" -W ignore::RuntimeWarning - <<'PYTHON'
import numpy as np
import onnx.parser
import onnxruntime
import openvino as ov
from onnx.reference import ReferenceEvaluator

core = ov.Core()
A, B = np.array([200], np.uint8), np.array([100], np.uint8)
for what, node, given, wanted in (
    ("Add", "Add(a, b)", {"a": A, "b": B}, [44, 44, 255]),
    ("Sub, 100 less 200", "Sub(b, a)", {"a": A, "b": B}, [156, 156, 0]),
    ("Mul", "Mul(a, b)", {"a": A, "b": B}, [32, 32, 255]),
    ("Cast of 300.0", "Cast<to = 2>(a)", {"a": np.array([300], np.float32)}, [44, 44, 44]),
):
    inputs = ", ".join(f"{'float' if value.dtype == np.float32 else 'uint8'}[1] {name}" for name, value in given.items())
    model = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> g ({inputs}) => (uint8[1] y) {{ y = {node} }}'
    )
    data = model.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    compiled = core.compile_model(core.read_model(data), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answers = session.run(None, given)[0], ReferenceEvaluator(model).run(None, given)[0], compiled(given)[0]
    found = [answer.item() for answer in answers]
    print(f"{what}: {', '.join(map(str, found))}")
    assert found == wanted, found
PYTHON
