#!/bin/sh
# OpenVINO 2026.4.1, CPU, CACHE_DIR set: compile_model(path) takes a cached model for the same one when path, size and
# time of change are equal; what is in the file is not looked at. A model that was trained on has the size of the one
# before, and in a package that is built reproducibly (SOURCE_DATE_EPOCH), or was copied with its times, each file has
# the time of the one before: the old weights go on answering, and nothing is said. compile_model(read_model(path))
# hashes the graph with its weights, and notices.
#
# Seen (weights of 2, then of 3, times 64 inputs of 1):
#   compile_model(path): 128, from the cache: False
#   compile_model(path): 128, from the cache: True
#   compile_model(read_model(path)): 192, from the cache: False
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openvino==2026.4.1 onnx==1.23.2 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import os
import sys
from pathlib import Path

import numpy as np
import onnx.parser
import openvino as ov

file = Path(sys.argv[1]) / "model.onnx"
TEXT = '<ir_version: 8, opset_import: ["" : 17]> g (float[1,64] x) => (float[1,1] y) { y = MatMul(x, w) }'


def install(weight):
    model = onnx.parser.parse_model(TEXT)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.full((64, 1), weight, np.float32), "w"))
    onnx.save(model, file)
    os.utime(file, (1_700_000_000, 1_700_000_000))


def start(how):
    core = ov.Core()  # as in a process that starts anew
    core.set_property({"CACHE_DIR": str(file.parent / "cache"), "INFERENCE_PRECISION_HINT": "f32"})
    compiled = core.compile_model(core.read_model(file) if "read_model" in how else file, "CPU")
    answer = compiled(np.ones((1, 64), np.float32))[0].item(), compiled.get_property("LOADED_FROM_CACHE")
    print(f"{how}: {answer[0]:.0f}, from the cache: {answer[1]}")
    return answer


install(2)
assert start("compile_model(path)") == (128, False)
install(3)
assert start("compile_model(path)") == (128, True)
assert start("compile_model(read_model(path))") == (192, False)
PYTHON
