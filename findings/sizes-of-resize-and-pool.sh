#!/bin/sh
# Two sizes that onnx 1.23.2 infers are not those of the runtimes. Resize by a scale: 30 times 0.7 is 20.99 in the exact
# value of the FLOAT32 scale, which inference and the reference evaluator round down to 20; onnxruntime 1.32.0 and
# OpenVINO 2026.4.1 multiply in FLOAT32 and get 21. And with ceil_mode, where the last window of a pool would begin in the
# padding: inference counts it up to opset 21 and not in 22, for the same node. ONNX Runtime never computes it. OpenVINO
# does, in both opsets, and fills it with the lowest FLOAT32: maxima of nothing. Who folds Shape by inferred sizes (to
# make a graph static) builds the wrong numbers in.
#
# Seen (inferred, reference, ONNX Runtime, OpenVINO):
#   Resize of 30 by 0.7: 20, 20, 21, 21
#   Resize of 30 by 2.6: 77, 77, 78, 78
#   MaxPool of 8, opset 21: 4, 3, 3, 4
#   MaxPool of 8, opset 22: 3, 3, 3, 4
#   last value of OpenVINO's pool of ones: -3.4e+38
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
from onnx.reference import ReferenceEvaluator


onnxruntime.set_default_logger_severity(3)  # it warns that the inferred size is another


def sizes(node, size, opset):
    model = onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : {opset}]> g (float[1,1,{size}] x) => (float[a,b,c] y) {{ {node} }}'
    )
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    model.graph.output[0].type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph.output[0]
    data, x = model.SerializeToString(), np.ones((1, 1, size), np.float32)
    core = ov.Core()
    compiled = core.compile_model(core.read_model(data), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    answers = ReferenceEvaluator(model).run(None, {"x": x})[0], session.run(None, {"x": x})[0], compiled(x)[0]
    widths = [inferred.type.tensor_type.shape.dim[2].dim_value, *(answer.shape[2] for answer in answers)]
    return widths, answers[-1][0, 0, -1]


for scale, wanted in ((0.7, [20, 20, 21, 21]), (2.6, [77, 77, 78, 78])):
    found, _ = sizes(f"s = Constant<value_floats = [1.0, 1.0, {scale}]>() y = Resize(x, , s)", 30, 21)
    print(f"Resize of 30 by {scale}: {', '.join(map(str, found))}")
    assert found == wanted, found
for opset, wanted in ((21, [4, 3, 3, 4]), (22, [3, 3, 3, 4])):
    found, last = sizes("y = MaxPool<kernel_shape = [3], strides = [3], pads = [1, 1], ceil_mode = 1>(x)", 8, opset)
    print(f"MaxPool of 8, opset {opset}: {', '.join(map(str, found))}")
    assert found == wanted, found
print(f"last value of OpenVINO's pool of ones: {last:.2g}")
assert last < -1e38
PYTHON
