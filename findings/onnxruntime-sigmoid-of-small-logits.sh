#!/bin/sh
# onnxruntime 1.32.0, CPU (x86-64): Sigmoid is a quotient of polynomials plus a half, so that small results have an
# absolute error of a few 1e-8 and no relative accuracy. From a logit of -15 on they are wrong by a tenth and more, they
# do not always grow with the logit, some are exactly 0, and all below -18 are. Log(Sigmoid(x)), as log-likelihoods and
# log-odds are exported, is -infinity there. OpenVINO 2026.4.1 has seven digits down to -40.
#
# Seen (4001 logits from -40 to 0; ONNX Runtime, OpenVINO):
#   largest relative error between -16 and -15: 0.57, 0.00
#   larger logit, smaller result: 161, 0 times
#   Log(Sigmoid(-18)): -inf, -18.0
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

x = np.linspace(-40, 0, 4001, dtype=np.float32)
model = onnx.parser.parse_model(
    '<ir_version: 8, opset_import: ["" : 17]> g (float[4001] x) => (float[4001] y, float[4001] z)'
    "{ y = Sigmoid(x) z = Log(y) }"
)
data = model.SerializeToString()
core = ov.Core()
compiled = core.compile_model(core.read_model(data), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
answers = session.run(None, {"x": x}), list(compiled(x).values())
exact = 1 / (1 + np.exp(-x.astype(np.float64)))
errors = [float(np.abs(y / exact - 1)[(x > -16) & (x < -15)].max()) for y, _ in answers]
falls = [int((np.diff(y) < 0).sum()) for y, _ in answers]
logs = [float(z[np.argmin(np.abs(x + 18))]) for _, z in answers]
print(f"largest relative error between -16 and -15: {errors[0]:.2f}, {errors[1]:.2f}")
print(f"larger logit, smaller result: {falls[0]}, {falls[1]} times")
print(f"Log(Sigmoid(-18)): {logs[0]}, {logs[1]:.1f}")
assert errors[0] > 0.1
assert errors[1] < 1e-4
assert falls[0] > 0
assert falls[1] == 0
assert logs[0] == -np.inf
assert not answers[0][0][x < -18].any()
assert abs(logs[1] + 18) < 0.001
PYTHON
