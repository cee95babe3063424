#!/bin/sh
# onnxruntime 1.32.0, optimisations as by default: a normalisation that is written out, (x - mean) / root(mean of a
# power of (x - mean)), is fused into LayerNormalization whatever the power is; only Pow by a constant is looked for,
# not its 2. A fourth or sixth moment (as against outliers) gives the numbers of the second. Without optimisations the
# graph is computed as it stands, which the reference evaluator of onnx 1.23.2 and OpenVINO 2026.4.1 do too.
#
# Seen (x = 0, 0, 0, 4; the largest result; optimised, not optimised, OpenVINO, reference):
#   Pow by 2: 1.732, 1.732, 1.732, 1.732
#   Pow by 4: 1.732, 0.655, 0.655, 0.655
#   Pow by 6: 1.732, 0.222, 0.222, 0.222
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
from onnx.reference import ReferenceEvaluator

core = ov.Core()
x = np.array([[0, 0, 0, 4]], np.float32)
constants = {"small": np.float32(1e-5), "w": np.ones(4, np.float32), "b": np.zeros(4, np.float32)}
for power, wanted in ((2, ["1.732"] * 4), (4, ["1.732"] + ["0.655"] * 3), (6, ["1.732"] + ["0.222"] * 3)):
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[1,4] x) => (float[1,4] y) {'
        " m = ReduceMean<axes = [-1]>(x) d = Sub(x, m) p = Pow(d, power) v = ReduceMean<axes = [-1]>(p)"
        " e = Add(v, small) s = Sqrt(e) n = Div(d, s) k = Mul(n, w) y = Add(k, b) }"
    )
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.array(value), name)
        for name, value in {**constants, "power": np.float32(power)}.items()
    )
    data = model.SerializeToString()
    answers = []
    for level in ("ORT_ENABLE_ALL", "ORT_DISABLE_ALL"):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        answers.append(session.run(None, {"x": x})[0])
    answers.append(core.compile_model(core.read_model(data), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(x)[0])
    answers.append(ReferenceEvaluator(model).run(None, {"x": x})[0])
    found = [f"{answer.max():.3f}" for answer in answers]
    print(f"Pow by {power}: {', '.join(found)}")
    assert found == wanted, found
PYTHON
