#!/bin/sh
# OpenVINO 2026.4.1, CPU: Relu, Clip, HardSigmoid and Exp give a number for NaN, so that a network of convolutions and
# ReLU that is fed, or holds, NaN answers with finite values. A check for NaN behind it never strikes. ONNX Runtime 1.32.0
# passes NaN through all of them. Sigmoid, HardSwish, LeakyRelu, Elu and Tanh keep NaN in both.
#
# Seen (NaN among the 64 values of an 8 x 8 image of NaN, behind a convolution and the activation):
#   Relu: ONNX Runtime 64, OpenVINO 0
#   Clip: ONNX Runtime 64, OpenVINO 0
#   HardSigmoid: ONNX Runtime 64, OpenVINO 0
#   Exp: ONNX Runtime 64, OpenVINO 0
#   HardSwish: ONNX Runtime 64, OpenVINO 64
#   Sigmoid: ONNX Runtime 64, OpenVINO 64
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
image = np.full((1, 3, 8, 8), np.nan, np.float32)
weight = onnx.numpy_helper.from_array(np.ones((1, 3, 3, 3), np.float32), "w")
for name, wanted in (("Relu", 0), ("Clip", 0), ("HardSigmoid", 0), ("Exp", 0), ("HardSwish", 64), ("Sigmoid", 64)):
    clip = name == "Clip"
    bounds = "low = Constant<value = float {0.0}>() high = Constant<value = float {6.0}>()" if clip else ""
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[1,3,8,8] x) => (float[1,1,8,8] y) {'
        f"{bounds} c = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(x, w)"
        f" y = {name}({'c, low, high' if clip else 'c'}) }}"
    )
    model.graph.initializer.append(weight)
    data = model.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    compiled = core.compile_model(core.read_model(data), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answers = session.run(None, {"x": image})[0], compiled(image)[0]
    found = [int(np.isnan(answer).sum()) for answer in answers]
    print(f"{name}: ONNX Runtime {found[0]}, OpenVINO {found[1]}")
    assert found == [64, wanted], found
PYTHON
