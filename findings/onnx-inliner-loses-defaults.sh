#!/bin/sh
# onnx 1.23.2, onnx.inliner: a function of the model may have attributes with defaults of its own. Where a call leaves
# one out, inlining does not put the default in; the node inside then has no such attribute, and takes the default of
# ITS operator: a LeakyRelu of slope 0.1 becomes one of 0.01. The checker takes the model before and after it.
# onnxruntime 1.32.0 and the inliner of onnx_ir 1.1.0 give the function's default. Where the operator has none, the
# model is refused.
#
# Seen (function F(x, a = 0.1) = LeakyRelu(x) of slope a, called without a; of -1):
#   ONNX Runtime: -0.1
#   ONNX Runtime after onnx.inliner: -0.01
#   ONNX Runtime after onnx_ir's InlinePass: -0.1
#   called with a = 0.1, after onnx.inliner: -0.1
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 onnx-ir==1.1.0 \
    numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx.checker
import onnx.inliner
import onnx.parser
import onnx_ir
import onnxruntime
from onnx_ir.passes.common import InlinePass


def model(call):
    return onnx.parser.parse_model(
        f'<ir_version: 9, opset_import: ["" : 17, "own" : 1]> g (float[1] x) => (float[1] y) {{ y = own.F{call}(x) }}'
        ' <opset_import: ["" : 17], domain: "own"> F <a: float = 0.1> (x) => (y)'
        " { y = LeakyRelu<alpha: float = @a>(x) }"
    )


def inlined(call):
    result = onnx.inliner.inline_local_functions(model(call))
    onnx.checker.check_model(result, full_check=True)
    return result


onnx.checker.check_model(model(""), full_check=True)
for what, version, wanted in (
    ("ONNX Runtime", model(""), "-0.1"),
    ("ONNX Runtime after onnx.inliner", inlined(""), "-0.01"),
    (
        "ONNX Runtime after onnx_ir's InlinePass",
        onnx_ir.serde.serialize_model(InlinePass()(onnx_ir.serde.deserialize_model(model(""))).model),
        "-0.1",
    ),
    ("called with a = 0.1, after onnx.inliner", inlined("<a = 0.1>"), "-0.1"),
):
    session = onnxruntime.InferenceSession(version.SerializeToString(), providers=["CPUExecutionProvider"])
    found = f"{session.run(None, {'x': np.array([-1], np.float32)})[0].item():.2g}"
    print(f"{what}: {found}")
    assert found == wanted, found
PYTHON
