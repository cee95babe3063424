#!/bin/sh
# OpenCV 5.0.0.93's dnn: Tanh is NaN from 45 on, where it is 1, in all elements but the last few of a tensor, which are
# not computed in vectors; so a test with a handful of numbers passes. 4.12.0.88 gives 1, and so does 5.0 for large
# negative values. Recurrent layers, attention gates and heads of offsets that end in Tanh saturate now and then: a
# network that is right on test images gives NaN on a frame with a sharp edge. ONNX Runtime and OpenVINO give 1.
#
# Seen (Tanh of -100, 44, 45, 100):
#   4.12.0, four numbers: -1, 1, 1, 1
#   4.12.0, the same 16 times: -1, 1, 1, 1
#   5.0.0, four numbers: -1, 1, 1, 1
#   5.0.0, the same 16 times: -1, 1, nan, nan
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

for what, times in (("four numbers", 1), ("the same 16 times", 16)):
    model = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> g (float[{times},4] x) => (float[{times},4] y) {{ y = Tanh(x) }}'
    )
    network = cv2.dnn.readNetFromONNX(np.frombuffer(model.SerializeToString(), np.uint8))
    network.setInput(np.array([[-100, 44, 45, 100]] * times, np.float32))
    found = [f"{value:.0f}" for value in network.forward()[0]]
    print(f"{cv2.__version__}, {what}: {', '.join(found)}")
    right = cv2.__version__ == "4.12.0" or times == 1
    assert found == ["-1", "1", *(["1", "1"] if right else ["nan", "nan"])], found
PYTHON
done
