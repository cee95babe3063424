#!/bin/sh
# OpenCV's dnn reads ONNX's auto_pad SAME_UPPER and SAME_LOWER as one: opencv-python-headless 4.12.0.88 computes both as
# SAME_UPPER, 5.0.0.93 both as SAME_LOWER (also with ENGINE_CLASSIC). They differ where the padding is odd: a window of 3,
# a step of 2 and an even size, which is the first layer of most networks that came from TensorFlow, all SAME_UPPER. Such
# a network is right in 4.12 and silently shifted by a pixel at each of these layers in 5.0.
#
# Seen (1 to 6, a window of three ones in steps of 2; the standard says [6, 12, 11] and [3, 9, 15]):
#   4.12.0: SAME_UPPER [6.0, 12.0, 11.0], SAME_LOWER [6.0, 12.0, 11.0]
#   5.0.0: SAME_UPPER [3.0, 9.0, 15.0], SAME_LOWER [3.0, 9.0, 15.0]
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

found = []
for padding in ("SAME_UPPER", "SAME_LOWER"):
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 13]> g (float[1,1,1,6] x) => (float[1,1,1,3] y)'
        f'{{ y = Conv<kernel_shape = [1, 3], strides = [1, 2], auto_pad = "{padding}">(x, w) }}'
    )
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones((1, 1, 1, 3), np.float32), "w"))
    network = cv2.dnn.readNetFromONNX(np.frombuffer(model.SerializeToString(), np.uint8))
    network.setInput(np.arange(1, 7, dtype=np.float32).reshape(1, 1, 1, 6))
    found.append(network.forward().ravel().tolist())
print(f"{cv2.__version__}: SAME_UPPER {found[0]}, SAME_LOWER {found[1]}")
assert found == [[6, 12, 11] if cv2.__version__ == "4.12.0" else [3, 9, 15]] * 2, found
PYTHON
done
