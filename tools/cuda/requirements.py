"""Lists what is missing on this machine before anything is measured, and how to install it.

Imports none of the packages that it checks.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

PACKAGES = {  # module: name of the package for pip
    "cv2": "opencv-python-headless",
    "matplotlib": "matplotlib",
    "numpy": "numpy",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime-gpu",
    "psutil": "psutil",
    "pydantic": "pydantic",
    "pytest": "pytest",
}
PEERS = {
    "rtmlib": "pip install --no-deps rtmlib==0.0.16 tqdm",
    "torch": "PyTorch with CUDA",
    "tensorrt": "TensorRT 10.3 or newer, for engines by precision; on a Jetson it comes with JetPack",
}


def missing_packages() -> list[str]:
    """Return a sentence per group of missing required packages; empty if none is missing."""
    absent = [name for module, name in PACKAGES.items() if find_spec(module) is None]
    missing = [f"not installed: {', '.join(absent)}; pip install {' '.join(absent)}"] if absent else []
    if find_spec("pycuda") is None:
        missing.append("not installed: pycuda; `sh tests/cuda/pycuda.sh PYTHON` builds it, with nvcc and g++")
    return missing


def skipped_comparisons(detector: Path, photographs: Path) -> Iterator[str]:
    """Yield the comparisons that cannot be made, with the reason."""
    for module, what in PEERS.items():
        if find_spec(module) is None:
            yield f"{module}: not installed ({what})"
    if not detector.is_file():
        yield f"the published detector: {detector} does not exist; set --detector"
    if not any(photographs.glob("*.jpg")):
        yield f"all comparisons: no photographs in {photographs}; set --photographs"
