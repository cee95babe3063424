#!/bin/sh
# onnxslim 0.1.98, slim() as by default: three rewrites change results, without a word. A Mul behind a Conv is moved into its
# weights when its constant has as many values as there are channels, along whatever axis they lie: a window or mask over
# columns or rows becomes a factor for each channel where the picture is as wide as there are channels. (For an Add the
# axis is looked at.) A Mul behind Gemm and Reshape is moved into the Gemm, although something else reads the Gemm as
# well, which gets the factor too. And two equal nodes that draw random numbers (dropout by Monte Carlo) become one: both
# draws are the same.
#
# Seen (ONNX Runtime, not optimised; largest difference between the model and what slim() made of it):
#   8 channels, window of 8 over 8 columns: above 1
#   8 channels, window of 9 over 9 columns: 0.0
#   Gemm that is read twice: 0.0 behind the Mul, above 1 beside it
#   two draws of RandomNormalLike: 2 nodes, then 1
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check onnxslim==0.1.98 onnx==1.23.2 onnxruntime==1.32.0 \
    numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
import onnxslim
from onnx import TensorProto, helper, numpy_helper

RANDOM = np.random.default_rng(0)


def both(nodes, x, outputs, constants):
    """The model and its slim form."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    slim = onnxslim.slim(onnx.ModelProto.FromString(model.SerializeToString()))
    onnx.checker.check_model(slim, full_check=True)
    return model, slim


def differences(models, x):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    feed = {"x": RANDOM.normal(size=x).astype(np.float32)}
    answers = [
        onnxruntime.InferenceSession(m.SerializeToString(), options, ["CPUExecutionProvider"]).run(None, feed)
        for m in models
    ]
    return [float(np.abs(a - b).max()) for a, b in zip(*answers)]


weight = RANDOM.normal(size=(8, 3, 1, 1)).astype(np.float32)
for width in (8, 9):
    models = both(
        [helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node("Mul", ["c", "m"], ["y"])],
        [1, 3, 6, width],
        {"y": [1, 8, 6, width]},
        {"w": weight, "m": np.hanning(width).astype(np.float32).reshape(1, 1, 1, width)},
    )
    (off,) = differences(models, [1, 3, 6, width])
    print(f"8 channels, window of {width} over {width} columns: {'above 1' if off > 1 else round(off, 3)}")
    assert off > 1 if width == 8 else off < 1e-5, off
models = both(
    [
        helper.make_node("Gemm", ["x", "w", "b"], ["c"], transB=1),
        helper.make_node("Reshape", ["c", "s"], ["r"]),
        helper.make_node("Mul", ["r", "m"], ["y"]),
        helper.make_node("Relu", ["c"], ["z"]),
    ],
    [2, 3],
    {"y": [1, 2, 8], "z": [2, 8]},
    {"w": weight[:, :, 0, 0], "b": np.ones(8, np.float32), "s": np.array([1, 2, 8]), "m": np.full(8, 3, np.float32)},
)
behind, beside = differences(models, [2, 3])
print(f"Gemm that is read twice: {round(behind, 3)} behind the Mul, {'above 1' if beside > 1 else beside} beside it")
assert behind < 1e-5 and beside > 1, (behind, beside)
draw, slim = both(
    [
        helper.make_node("RandomNormalLike", ["x"], ["a"]),
        helper.make_node("RandomNormalLike", ["x"], ["b"]),
        helper.make_node("Sub", ["a", "b"], ["y"]),
    ],
    [2, 3],
    {"y": [2, 3]},
    {},
)
counts = [sum(node.op_type == "RandomNormalLike" for node in model.graph.node) for model in (draw, slim)]
print(f"two draws of RandomNormalLike: {counts[0]} nodes, then {counts[1]}")
assert counts == [2, 1], counts
PYTHON
