#!/bin/sh
# OpenVINO 2026.4.1, CPU (x86-64): Softplus, which is above 0 everywhere, gives multiples of 2^-20 below a logit of
# about -10: 0 at -15, and -0.0000019 at -20. Networks use it where a number has to be positive (a standard deviation, a
# rate, a scale): its root is then NaN and its logarithm NaN or -infinity, and a division by it changes the sign.
# onnxruntime 1.32.0 has seven digits down to -40. With PyTorch's Softplus the training never sees it.
#
# Seen (ONNX Runtime, OpenVINO):
#   Softplus(-10): 4.5e-05, 4.5e-05
#   Softplus(-15): 3.1e-07, 0.0e+00
#   Softplus(-20): 2.1e-09, -1.9e-06
#   Sqrt of it: 4.5e-05, nan
#   1 / it: 4.9e+08, -5.2e+05
#   negative, of 801 logits from -30 to 10: 0, 50 or more
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


def both(node, x):
    x = np.array(x, np.float32)
    model = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> g (float[{x.size}] x) => (float[{x.size}] y) {{ {node} }}'
    )
    data = model.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    compiled = core.compile_model(core.read_model(data), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return session.run(None, {"x": x})[0], compiled(x)[0]


for what, node, x, wanted in (
    ("Softplus(-10)", "y = Softplus(x)", -10, ["4.5e-05", "4.5e-05"]),
    ("Softplus(-15)", "y = Softplus(x)", -15, ["3.1e-07", "0.0e+00"]),
    ("Softplus(-20)", "y = Softplus(x)", -20, ["2.1e-09", "-1.9e-06"]),
    ("Sqrt of it", "s = Softplus(x) y = Sqrt(s)", -20, ["4.5e-05", "nan"]),
    ("1 / it", "s = Softplus(x) y = Reciprocal(s)", -20, ["4.9e+08", "-5.2e+05"]),
):
    found = [f"{answer.item():.1e}" for answer in both(node, [x])]
    print(f"{what}: {', '.join(found)}")
    assert found == wanted, found
below = [int((answer < 0).sum()) for answer in both("y = Softplus(x)", np.linspace(-30, 10, 801))]
print(f"negative, of 801 logits from -30 to 10: {below[0]}, {below[1]}")
assert below[0] == 0 and below[1] >= 50, below
PYTHON
