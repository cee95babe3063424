#!/bin/sh
# onnx 1.23.2, onnx.reference.ReferenceEvaluator: two poolings are not what the standard says, and give plausible numbers.
# AveragePool with ceil_mode = 1 puts what the last window lacks before the image, as if it were padded on both sides: all
# windows are shifted. MaxPool with auto_pad = SAME_LOWER pads like SAME_UPPER. onnxruntime 1.32.0 has both right. So a
# difference between the two is no fault of the runtime's.
#
# Seen (1 to 7, windows of 3, steps of 3; 1 to 6, windows of 3, steps of 2; ONNX Runtime, reference):
#   AveragePool, ceil_mode = 1: [2.0, 5.0, 7.0], [1.5, 4.0, 6.0]
#   MaxPool, SAME_LOWER: [2.0, 4.0, 6.0], [3.0, 5.0, 6.0]
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx.parser
import onnxruntime
from onnx.reference import ReferenceEvaluator

for what, options, count, right, other in (
    ("AveragePool, ceil_mode = 1", "strides = [3], ceil_mode = 1", 7, [2, 5, 7], [1.5, 4, 6]),
    ("MaxPool, SAME_LOWER", 'strides = [2], auto_pad = "SAME_LOWER"', 6, [2, 4, 6], [3, 5, 6]),
):
    node = f"{what.split(',')[0]}<kernel_shape = [3], {options}>(x)"
    model = onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : 22]> g (float[1,1,{count}] x) => (float[1,1,3] y) {{ y = {node} }}'
    )
    x = np.arange(1, count + 1, dtype=np.float32).reshape(1, 1, count)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    answers = session.run(None, {"x": x})[0], ReferenceEvaluator(model).run(None, {"x": x})[0]
    found = [answer.ravel().tolist() for answer in answers]
    print(f"{what}: {found[0]}, {found[1]}")
    assert found == [right, other], found
PYTHON
