#!/bin/sh
# onnx 1.23.2, onnx.version_converter: Resize of opset 10 has its pixels at whole numbers (asymmetric); that of opset 11
# and later is half_pixel unless told otherwise, and the converter writes no attribute. So a heat map or feature map that
# is enlarged linearly moves by half a source pixel at the next opset, silently; and Upsample of opset 9 with it, on its
# way past 10. In the other direction Softmax of opset 13 along a middle axis becomes that of 11, which flattens. Both
# convert without a word, and onnx.checker takes the result.
#
# Seen (ONNX Runtime 1.32.0, before and after):
#   Resize 10 to 13, a ramp of 0, 1, 2, 3 doubled: 0 0.5 1 1.5 2 2.5 3 3, 0 0.25 0.75 1.25 1.75 2.25 2.75 3
#   Upsample 9 to 13, the same: 0 0.5 1 1.5 2 2.5 3 3, 0 0.25 0.75 1.25 1.75 2.25 2.75 3
#   Softmax of axis 1, 13 to 11, sums along it: 1.0, 0.25
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx.parser
import onnx.version_converter
import onnxruntime


def before_and_after(graph, opset, target, x):
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> {graph}')
    answers = []
    for version in (model, onnx.version_converter.convert_version(model, target)):
        onnx.checker.check_model(version, full_check=True)
        session = onnxruntime.InferenceSession(version.SerializeToString(), providers=["CPUExecutionProvider"])
        answers.append(session.run(None, {"x": x})[0])
    return answers


RAMP = np.arange(4, dtype=np.float32).reshape(1, 1, 1, 4)
OLD = [0, 0.5, 1, 1.5, 2, 2.5, 3, 3]
NEW = [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]
SCALES = "s = Constant<value = float[4] {1.0, 1.0, 1.0, 2.0}>()"
for name, opset, what in (
    ("Resize", 10, "Resize 10 to 13, a ramp of 0, 1, 2, 3 doubled"),
    ("Upsample", 9, "Upsample 9 to 13, the same"),
):
    graph = f'g (float[1,1,1,4] x) => (float[a,b,c,d] y) {{ {SCALES} y = {name}<mode = "linear">(x, s) }}'
    found = [[float(f"{value:g}") for value in answer.ravel()] for answer in before_and_after(graph, opset, 13, RAMP)]
    print(f"{what}: " + ", ".join(" ".join(f"{value:g}" for value in values) for values in found))
    assert found == [OLD, NEW], found
graph = "g (float[1,3,4] x) => (float[1,3,4] y) { y = Softmax<axis = 1>(x) }"
sums = [float(answer.sum(axis=1)[0, 0]) for answer in before_and_after(graph, 13, 11, np.ones((1, 3, 4), np.float32))]
print(f"Softmax of axis 1, 13 to 11, sums along it: {sums[0]}, {sums[1]}")
assert np.allclose(sums, [1, 0.25])
PYTHON
