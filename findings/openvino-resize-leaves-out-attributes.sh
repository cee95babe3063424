#!/bin/sh
# OpenVINO 2026.4.1 reads three attributes of ONNX's Resize without a word and does not obey them: antialias (opset 18),
# exclude_outside (11) and keep_aspect_ratio_policy (18; the output has another shape). An unknown
# coordinate_transformation_mode is refused in the same place. So a model that shrinks its own input with
# F.interpolate(antialias=True) aliases on OpenVINO alone. ONNX Runtime 1.32.0 and the reference evaluator of onnx 1.23.2
# obey all three.
#
# Seen (ONNX Runtime, reference, OpenVINO):
#   antialias, lines of 1 in 4 shrunk to a quarter, the second pixel: 0.25, 0.25, 0.0
#   exclude_outside, the first pixel of 0 to 15 enlarged: -0.68, -0.68, -0.53
#   keep_aspect_ratio_policy, 4 x 8 into 4 x 4: (2, 4), (2, 4), (4, 4)
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


def answers(image, size, options):
    """Of ONNX Runtime, the reference evaluator and OpenVINO, for an image (H, W)."""
    model = onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : 19]> g (float[{image.shape[0]},{image.shape[1]}] x) => (float[h,w] y)'
        f"{{ s = Constant<value_ints = {size}>() y = Resize<{options}>(x, , , s) }}"
    )
    data = model.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    core = ov.Core()
    compiled = core.compile_model(core.read_model(data), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    reference = ReferenceEvaluator(model).run(None, {"x": image})[0]
    return session.run(None, {"x": image})[0], reference, compiled(image)[0]


def say(what, values, wanted):
    print(f"{what}: {', '.join(str(value) for value in values)}")
    assert values == wanted, (values, wanted)


lines = np.tile(np.array([0, 0, 0, 1], np.float32), (32, 8))
found = answers(lines, [8, 8], 'mode = "linear", antialias = 1')
second = [round(float(y[1, 1]), 2) for y in found]
say("antialias, lines of 1 in 4 shrunk to a quarter, the second pixel", second, [0.25, 0.25, 0.0])
ramp = np.arange(16, dtype=np.float32).reshape(4, 4)
found = answers(ramp, [8, 8], 'mode = "cubic", exclude_outside = 1')
first = [round(float(y[0, 0]), 2) for y in found]
say("exclude_outside, the first pixel of 0 to 15 enlarged", first, [-0.68, -0.68, -0.53])
wide = np.ones((4, 8), np.float32)
found = answers(wide, [4, 4], 'mode = "nearest", keep_aspect_ratio_policy = "not_larger"')
say("keep_aspect_ratio_policy, 4 x 8 into 4 x 4", [y.shape for y in found], [(2, 4), (2, 4), (4, 4)])
PYTHON
