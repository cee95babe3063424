#!/bin/sh
# onnxruntime 1.32.0, wheel for Linux x86_64: the runtime is in it twice. The Python module is linked with all of it, and
# the shared library for C and C++ lies beside it, which nothing in the wheel loads. Half of what is installed is never
# read by Python: 35 MB of 72. The module works the same without that file.
#
# Seen:
#   onnxruntime_pybind11_state: 37 MB, needs libonnxruntime.so: False
#   libonnxruntime.so.1.32.0: 35 MB
#   without it: [2. 4.]
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import importlib.util
import subprocess
import sys
from pathlib import Path

capi = Path(importlib.util.find_spec("onnxruntime").origin).parent / "capi"
module = next(capi.glob("onnxruntime_pybind11_state*.so"))
library = next(capi.glob("libonnxruntime.so.*"))
needs = b"libonnxruntime.so" in subprocess.run(["ldd", module], capture_output=True, check=True).stdout
print(f"onnxruntime_pybind11_state: {module.stat().st_size / 1e6:.0f} MB, needs libonnxruntime.so: {needs}")
print(f"{library.name}: {library.stat().st_size / 1e6:.0f} MB")
library.unlink()
doubled = """
import numpy as np
import onnx.parser
import onnxruntime

model = onnx.parser.parse_model('<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (float[2] y) { y = Add(x, x) }')
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
print("without it:", session.run(None, {"x": np.array([1, 2], np.float32)})[0])
"""
done = subprocess.run([sys.executable, "-c", doubled], capture_output=True, text=True, check=True)
print(done.stdout, end="")
assert not needs
assert library.name.endswith("1.32.0")
assert "[2. 4.]" in done.stdout
PYTHON
