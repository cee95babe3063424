#!/bin/sh
# OpenVINO 2026.4.1, CPU: INT32 goes through FLOAT32, and so loses all digits above 2^24, in Equal, Greater and the
# other comparisons, Div, Mod, Clip, ReduceMax and ReduceMin. Add, Sub, Mul, Max, Gather and CumSum of the same are
# exact. Identifiers, hashes, ticks and keys of 32 bits (batch * 2^24 + class, say) that differ by one are equal in a
# graph, and an index that is cut from its key by Div and Mod is wrong. onnxruntime 1.32.0 has all of them exact.
#
# Seen (16777217 and 16777216; ONNX Runtime, OpenVINO):
#   Equal: False, True
#   Greater: True, False
#   Mod: 1, 0
#   Div the other way round: 0, 1
#   ReduceMax of both, twice: 16777217, 16777216
#   Clip up to 16777217: 16777217, 16777216
#   Sub: 1, 1
#   Max: 16777217, 16777217
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

core = ov.Core()
feeds = {"x": np.array([2**24 + 1], np.int32), "y": np.array([2**24], np.int32)}
for what, kind, node, wanted in (
    ("Equal", "bool", "z = Equal(x, y)", [False, True]),
    ("Greater", "bool", "z = Greater(x, y)", [True, False]),
    ("Mod", "int32", "z = Mod(x, y)", [1, 0]),
    ("Div the other way round", "int32", "z = Div(y, x)", [0, 1]),
    ("ReduceMax of both, twice", "int32", "c = Concat<axis = 0>(x, y, x, y) z = ReduceMax(c)", [2**24 + 1, 2**24]),
    ("Clip up to 16777217", "int32", "z = Clip(x, n, most)", [2**24 + 1, 2**24]),
    ("Sub", "int32", "z = Sub(x, y)", [1, 1]),
    ("Max", "int32", "z = Max(x, y)", [2**24 + 1, 2**24 + 1]),
):
    model = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> g (int32[1] x, int32[1] y) => ({kind}[1] z) {{ {node} }}'
    )
    for name, value in (("n", 0), ("most", 2**24 + 1)) if what.startswith("Clip") else ():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(value, np.int32), name))
    data = model.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    compiled = core.compile_model(core.read_model(data), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    given = list(feeds.values())[: len(compiled.inputs)]
    found = [session.run(None, feeds)[0].item(), compiled(given)[0].item()]
    print(f"{what}: {found[0]}, {found[1]}")
    assert found == wanted, found
PYTHON
