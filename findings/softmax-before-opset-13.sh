#!/bin/sh
# Softmax of an opset below 13 flattens all axes from `axis` (default 1) on, and normalises over them together: the whole
# (3, 4) of a (2, 3, 4) sums to 1. onnxruntime 1.32.0 does that. OpenVINO 2026.4.1 does it for opset 9, and for opset 11
# normalises along axis 1 alone; OpenCV 5.0.0.93's dnn takes axis 1 for both; the reference evaluator of onnx 1.23.2
# takes the last axis for both, which is the default of opset 13. On opset 11 OpenVINO and OpenCV agree alone, and both are
# wrong; none says a word. Attention maps and heat maps of older exports have three axes or more.
#
# Seen (over what the results sum to 1, with no axis given):
#   opset 9: ONNX Runtime (1, 2), OpenVINO (1, 2), OpenCV (1,), reference (2,)
#   opset 11: ONNX Runtime (1, 2), OpenVINO (1,), OpenCV (1,), reference (2,)
#   opset 13: ONNX Runtime (2,), OpenVINO (2,), OpenCV (2,), reference (2,)
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openvino==2026.4.1 onnxruntime==1.32.0 onnx==1.23.2 \
    numpy==2.4.6 opencv-python-headless==5.0.0.93
"$folder/venv/bin/python" - <<'PYTHON'
import cv2
import numpy as np
import onnx.parser
import onnxruntime
import openvino as ov
from onnx.reference import ReferenceEvaluator

core = ov.Core()
x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)


def sums_to_one(answer):
    return next(axes for axes in ((1,), (2,), (1, 2)) if np.allclose(answer.sum(axes), 1))


found = {}
for opset in (9, 11, 13):
    text = f'<ir_version: 4, opset_import: ["" : {opset}]> g (float[2,3,4] x) => (float[2,3,4] y) {{ y = Softmax(x) }}'
    model = onnx.parser.parse_model(text)
    data = model.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    compiled = core.compile_model(core.read_model(data), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    network = cv2.dnn.readNetFromONNX(np.frombuffer(data, np.uint8))
    network.setInput(x)
    answers = {
        "ONNX Runtime": session.run(None, {"x": x})[0],
        "OpenVINO": compiled(x)[0],
        "OpenCV": network.forward(),
        "reference": ReferenceEvaluator(model).run(None, {"x": x})[0],
    }
    found[opset] = [sums_to_one(answer) for answer in answers.values()]
    print(f"opset {opset}: " + ", ".join(f"{who} {axes}" for who, axes in zip(answers, found[opset])))
assert found[9] == [(1, 2), (1, 2), (1,), (2,)]
assert found[11] == [(1, 2), (1,), (1,), (2,)]
assert found[13] == [(2,)] * 4
PYTHON
