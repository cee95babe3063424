#!/bin/sh
# OpenCV 5.0.0.93's dnn: ONNX's NonMaxSuppression with no score threshold keeps every box that does not overlap a better
# one, whatever its score is; OpenCV keeps none whose score is below 0, as if 0 had been given. Detectors whose graph
# chooses by logits (the sigmoid comes after it, for the few that are left) lose every box below a probability of a
# half, that is, most of what a tracker or an evaluation needs. onnxruntime 1.32.0 and OpenVINO 2026.4.1 keep them.
#
# Seen (three boxes far apart; indices kept; ONNX Runtime, OpenVINO, OpenCV):
#   scores 0.8, -0.5, -3: 0 1 2, 0 1 2, 0
#   scores 0.8, 0.5, 0.1: 0 1 2, 0 1 2, 0 1 2
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
model = onnx.parser.parse_model(
    '<ir_version: 8, opset_import: ["" : 17]> g (float[1,3,4] b, float[1,1,3] s) => (int64[k,3] y)'
    " { y = NonMaxSuppression(b, s, most, iou) }"
)
for name, value in (("most", np.array([10])), ("iou", np.array([0.5], np.float32))):
    model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
data = model.SerializeToString()
boxes = np.array([[[0, 0, 1, 1], [0, 5, 1, 6], [9, 9, 10, 10]]], np.float32)
for scores, wanted in (([0.8, -0.5, -3], [[0, 1, 2], [0, 1, 2], [0]]), ([0.8, 0.5, 0.1], [[0, 1, 2]] * 3)):
    feeds = {"b": boxes, "s": np.array([[scores]], np.float32)}
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    compiled = core.compile_model(core.read_model(data), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    network = cv2.dnn.readNetFromONNX(np.frombuffer(data, np.uint8))
    for name, value in feeds.items():
        network.setInput(value, name)
    found = [answer[:, 2].tolist() for answer in (session.run(None, feeds)[0], compiled(feeds)[0], network.forward())]
    print(f"scores {', '.join(map(str, scores))}: {', '.join(' '.join(map(str, kept)) for kept in found)}")
    assert found == wanted, found
PYTHON
