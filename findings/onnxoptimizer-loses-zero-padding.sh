#!/bin/sh
# onnxoptimizer 0.4.2, optimize() with its default passes: a Pad with zeros before a MaxPool becomes the pads of the
# MaxPool, which count as minus infinity. Where all values at the border are negative the maximum was 0 and is negative
# after it: values behind a convolution, a normalisation or LeakyRelu. And two Reshapes become the second one, whose 0
# ("as in the input") then reads another input: the shape of the output changes. The checker takes both.
#
# Seen (ONNX Runtime 1.32.0, before and after):
#   Pad and MaxPool of -1: [0.0, 0.0, 0.0, -1.0], [-1.0, -1.0, -1.0, -1.0]
#   Reshape (2, 3, 4) to (6, 4) to (0, -1): (6, 4), (2, 12)
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check onnxoptimizer==0.4.2 onnxruntime==1.32.0 onnx==1.23.2 \
    numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx.parser
import onnxoptimizer
import onnxruntime


def before_and_after(graph, constants, x):
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {graph}')
    model.graph.initializer.extend(onnx.numpy_helper.from_array(np.array(v), name) for name, v in constants.items())
    answers = []
    for version in (model, onnxoptimizer.optimize(model)):
        onnx.checker.check_model(version)
        session = onnxruntime.InferenceSession(version.SerializeToString(), providers=["CPUExecutionProvider"])
        answers.append(session.run(None, {"x": x})[0])
    return answers


found = before_and_after(
    "g (float[1,1,4,4] x) => (float[a,b,c,d] y)"
    "{ p = Pad(x, pads) y = MaxPool<kernel_shape = [3, 3], strides = [2, 2]>(p) }",
    {"pads": [0, 0, 1, 1, 0, 0, 0, 0]},
    np.full((1, 1, 4, 4), -1, np.float32),
)
pooled = [answer.ravel().tolist() for answer in found]
print(f"Pad and MaxPool of -1: {pooled[0]}, {pooled[1]}")
assert pooled == [[0, 0, 0, -1], [-1, -1, -1, -1]]
found = before_and_after(
    "g (float[2,3,4] x) => (float[a,b] y) { p = Reshape(x, first) y = Reshape(p, second) }",
    {"first": [6, 4], "second": [0, -1]},
    np.zeros((2, 3, 4), np.float32),
)
shapes = [answer.shape for answer in found]
print(f"Reshape (2, 3, 4) to (6, 4) to (0, -1): {shapes[0]}, {shapes[1]}")
assert shapes == [(6, 4), (2, 12)]
PYTHON
