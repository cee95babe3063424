#!/bin/sh
# OpenCV's dnn (4.12.0.88 and 5.0.0.93) computes four functions by the formula as it stands, where other runtimes first
# take the largest value, or the mean, away. Softplus is infinite from 89 on; ReduceLogSumExp is infinite above 88, and
# minus infinity where all are below -104; LogSoftmax is minus infinity 104 below the best class, which makes the loss,
# the entropy or the sum of log-likelihoods of a confident answer infinite or NaN; LayerNormalization of values whose
# mean is 1000 times their deviation is wrong by a quarter of it. onnxruntime 1.32.0 and OpenVINO 2026.4.1 are right in
# all four.
#
# Seen (both versions):
#   Softplus of 88 and 89: 88, inf; right: 88, 89
#   ReduceLogSumExp of 89, 89: inf; right: 89.7
#   ReduceLogSumExp of -110, -110: -inf; right: -109.3
#   LogSoftmax of 0, -100, -110: 0, -inf, -inf; right: 0, -100, -110
#   LayerNormalization of 512 values, deviation 1, mean 100: off by 0.03
#   LayerNormalization of 512 values, deviation 1, mean 1000: off by 0.30
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 4.12.0.88 5.0.0.93; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet --disable-pip-version-check "opencv-python-headless==$version" onnx==1.23.2
    "$folder/$version/bin/python" - <<'PYTHON'
import cv2
import numpy as np
import onnx.parser


def answer(node, x, size, constants=()):
    x = np.array([x], np.float32)
    model = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> g (float[1,{x.size}] x) => (float[1,{size}] y) {{ y = {node} }}'
    )
    model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in constants)
    network = cv2.dnn.readNetFromONNX(np.frombuffer(model.SerializeToString(), np.uint8))
    network.setInput(x)
    return network.forward().ravel()


for what, node, x, size, right, wanted in (
    ("Softplus of 88 and 89", "Softplus(x)", [88, 89], 2, "88, 89", ["88", "inf"]),
    ("ReduceLogSumExp of 89, 89", "ReduceLogSumExp<axes = [1]>(x)", [89, 89], 1, "89.7", ["inf"]),
    ("ReduceLogSumExp of -110, -110", "ReduceLogSumExp<axes = [1]>(x)", [-110, -110], 1, "-109.3", ["-inf"]),
    ("LogSoftmax of 0, -100, -110", "LogSoftmax<axis = 1>(x)", [0, -100, -110], 3, "0, -100, -110", ["0", "-inf", "-inf"]),
):
    found = [f"{value:.0f}" for value in answer(node, x, size)]
    print(f"{cv2.__version__}, {what}: {', '.join(found)}; right: {right}")
    assert found == wanted, found
noise = np.random.default_rng(0).normal(size=512)
constants = [("s", np.ones(512, np.float32)), ("b", np.zeros(512, np.float32))]
for mean, wanted in ((100, "0.03"), (1000, "0.30")):
    x = (mean + noise).astype(np.float32).astype(np.float64)
    right = (x - x.mean()) / np.sqrt(x.var() + 1e-5)
    off = f"{np.abs(answer('LayerNormalization<axis = -1>(x, s, b)', x, 512, constants) - right).max():.2f}"
    print(f"{cv2.__version__}, LayerNormalization of 512 values, deviation 1, mean {mean}: off by {off}")
    assert off == wanted, off
PYTHON
done
