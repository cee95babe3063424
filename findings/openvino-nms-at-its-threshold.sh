#!/bin/sh
# OpenVINO 2026.4.1, CPU: ONNX's NonMaxSuppression removes a box whose IoU is the threshold; onnxruntime 1.32.0 and
# OpenCV 5.0.0.93's dnn remove what is above it. At 0, which is what ONNX takes where no threshold is given, boxes that
# do not touch have IoU 0 and are removed too: of a whole image one box per class is left. With boxes of whole cells
# (grids, rounded labels) thresholds like 0.5 are met exactly as well.
#
# Seen (boxes kept; ONNX Runtime, OpenCV, OpenVINO):
#   three boxes far apart, no threshold given: 3, 3, 1
#   three boxes far apart, threshold 0: 3, 3, 1
#   a box and its upper half, threshold 0.5: 2, 2, 1
#   a box and its upper half, threshold 0.51: 2, 2, 2
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openvino==2026.4.1 onnxruntime==1.32.0 onnx==1.23.2 \
    opencv-python-headless==5.0.0.93 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import cv2
import numpy as np
import onnx.parser
import onnxruntime
import openvino as ov

core = ov.Core()
apart = [[0, 0, 1, 1], [0, 5, 1, 6], [9, 9, 10, 10]]
halves = [[0, 0, 1, 1], [0, 0, 0.5, 1]]
for what, corners, threshold, wanted in (
    ("three boxes far apart, no threshold given", apart, None, [3, 3, 1]),
    ("three boxes far apart, threshold 0", apart, 0, [3, 3, 1]),
    ("a box and its upper half, threshold 0.5", halves, 0.5, [2, 2, 1]),
    ("a box and its upper half, threshold 0.51", halves, 0.51, [2, 2, 2]),
):
    n = len(corners)
    node = "NonMaxSuppression(b, s, most)" if threshold is None else "NonMaxSuppression(b, s, most, iou)"
    model = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> g (float[1,{n},4] b, float[1,1,{n}] s) => (int64[k,3] y)'
        f" {{ y = {node} }}"
    )
    constants = {"most": np.array([10]), "iou": np.array([threshold or 0], np.float32)}
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(value, name)
        for name, value in constants.items()
        if name == "most" or threshold is not None
    )
    data = model.SerializeToString()
    feeds = {"b": np.array([corners], np.float32), "s": np.array([[[0.9, 0.8, 0.7][:n]]], np.float32)}
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    network = cv2.dnn.readNetFromONNX(np.frombuffer(data, np.uint8))
    for name, value in feeds.items():
        network.setInput(value, name)
    compiled = core.compile_model(core.read_model(data), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = [len(session.run(None, feeds)[0]), len(network.forward()), len(compiled(feeds)[0])]
    print(f"{what}: {found[0]}, {found[1]}, {found[2]}")
    assert found == wanted, found
PYTHON
