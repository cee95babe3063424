#!/bin/sh
# onnxruntime 1.32.0 and OpenVINO 2026.4.1, CPU (x86-64): a FLOAT16 model is computed in FLOAT32 from node to node, also
# with all optimisations switched off, and is rounded only where a tensor leaves it. What overflows half precision on a
# GPU (here 300 squared) gives right results here; and whoever makes the tensor in question an output, to see whether it
# overflows, sees infinity, while the node behind it goes on with 90000. Only the reference evaluator of onnx 1.23.2
# rounds each tensor. So "the FP16 file was tried on the CPU" says nothing about overflow.
#
# Seen (x = 300, a = x * x, y = a / 300; a as an output too):
#   ONNX Runtime, optimised: a inf, y 300.0
#   ONNX Runtime, not optimised: a inf, y 300.0
#   OpenVINO: a inf, y 300.0
#   reference: a inf, y inf
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

model = onnx.parser.parse_model(
    '<ir_version: 8, opset_import: ["" : 17]> g (float16[1] x, float16[1] k) => (float16[1] a, float16[1] y)'
    "{ a = Mul(x, x) y = Div(a, k) }"
)
given = {"x": np.array([300], np.float16), "k": np.array([300], np.float16)}
data = model.SerializeToString()


def onnx_runtime(level):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"]).run(None, given)


core = ov.Core()
compiled = core.compile_model(core.read_model(data), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
answers = {
    "ONNX Runtime, optimised": onnx_runtime(onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL),
    "ONNX Runtime, not optimised": onnx_runtime(onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL),
    "OpenVINO": list(compiled(given).values()),
    "reference": ReferenceEvaluator(model).run(None, given),
}
for who, (a, y) in answers.items():
    print(f"{who}: a {a.item()}, y {y.item()}")
    assert a.dtype == y.dtype == np.float16
    assert a.item() == np.inf
    assert y.item() == (np.inf if who == "reference" else 300)
PYTHON
