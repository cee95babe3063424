"""What this machine lacks, looked for before anything is measured: all of it at once, and what to do about it.

Imports nothing that it looks for.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

PACKAGES = {  # by module: what pip calls it
    "cv2": "opencv-python-headless",
    "matplotlib": "matplotlib",
    "numpy": "numpy",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime-gpu",
    "psutil": "psutil",
    "pydantic": "pydantic",
    "pytest": "pytest",
}
PEERS = {"rtmlib": "pip install --no-deps rtmlib==0.0.16 tqdm", "torch": "PyTorch with CUDA"}


def packages() -> list[str]:
    """Those without which nothing begins, a sentence each; an empty list where all are here."""
    absent = [name for module, name in PACKAGES.items() if find_spec(module) is None]
    told = [f"not installed: {', '.join(absent)}; pip install {' '.join(absent)}"] if absent else []
    if find_spec("pycuda") is None:
        told.append("not installed: pycuda; `sh tests/cuda/pycuda.sh PYTHON` builds it, which takes nvcc and g++")
    return told


def left_out(detector: Path, photographs: Path) -> Iterator[str]:
    """Figures that there will not be: of peers that are not here, or have nothing to look at."""
    for module, what in PEERS.items():
        if find_spec(module) is None:
            yield f"{module}, which is not installed ({what})"
    if not detector.is_file():
        yield f"the published detector: {detector} is not there; give --detector"
    if not any(photographs.glob("*.jpg")):
        yield f"all peers: there are no photographs in {photographs}; give --photographs"
