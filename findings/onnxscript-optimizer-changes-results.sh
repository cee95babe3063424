#!/bin/sh
# onnxscript 0.7.2, onnxscript.optimizer.optimize (what torch.onnx.export runs by itself with its new exporter): constants
# are folded with the reference evaluator of onnx 1.23.2, and take over where that one differs from the runtimes. A table
# of positions that is enlarged with align_corners by a scale that gives no whole size gets other values; a Softmax of a
# constant, before opset 13, too. And Clip behind Clip becomes one of the inner bounds where their ranges do not meet.
#
# Seen (ONNX Runtime 1.32.0, before and after):
#   Resize of [0, 1, 2, 3] by 1.4, align_corners: [0.0, 0.75, 1.5, 2.25, 3.0], [0.0, 0.65, 1.3, 1.96, 2.61]
#   Softmax of (2, 2) equal constants, opset 11: 0.25, 0.5
#   Clip to 0..2, then to 3..6, of 5: 3.0, 2.0
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check onnxscript==0.7.2 onnxruntime==1.32.0 onnx==1.23.2 \
    numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx.parser
import onnxruntime
import onnxscript.optimizer


def before_and_after(graph, opset, constants, x):
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> {graph}')
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.array(value, np.float32), name) for name, value in constants.items()
    )
    answers = []
    for version in (model, onnxscript.optimizer.optimize(model)):
        session = onnxruntime.InferenceSession(version.SerializeToString(), providers=["CPUExecutionProvider"])
        answers.append(session.run(None, {"x": np.array(x, np.float32)})[0])
    return answers


found = before_and_after(
    "g (float[1,1,1,5] x) => (float[1,1,1,5] y) {"
    'r = Resize<mode = "linear", coordinate_transformation_mode = "align_corners">(k, , s) y = Add(x, r) }',
    17,
    {"k": [[[[0, 1, 2, 3]]]], "s": [1, 1, 1, 1.4]},
    np.zeros((1, 1, 1, 5)),
)
lines = [[round(float(value), 2) for value in answer.ravel()] for answer in found]
print(f"Resize of [0, 1, 2, 3] by 1.4, align_corners: {lines[0]}, {lines[1]}")
assert lines == [[0, 0.75, 1.5, 2.25, 3], [0, 0.65, 1.3, 1.96, 2.61]], lines
found = before_and_after(
    "g (float[1,2,2] x) => (float[1,2,2] y) { s = Softmax(k) y = Add(x, s) }",
    11,
    {"k": np.ones((1, 2, 2))},
    np.zeros((1, 2, 2)),
)
shares = [answer.ravel()[0].item() for answer in found]
print(f"Softmax of (2, 2) equal constants, opset 11: {shares[0]}, {shares[1]}")
assert shares == [0.25, 0.5], shares
found = before_and_after(
    "g (float[1] x) => (float[1] y) { p = Clip(x, a, b) y = Clip(p, c, d) }", 17, {"a": 0, "b": 2, "c": 3, "d": 6}, [5]
)
bounds = [answer.item() for answer in found]
print(f"Clip to 0..2, then to 3..6, of 5: {bounds[0]}, {bounds[1]}")
assert bounds == [3, 2], bounds
PYTHON
