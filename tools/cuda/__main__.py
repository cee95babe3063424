"""`python -m tools.cuda REPORT_FOLDER`: the CUDA plane on the GPU that is here, checked and measured, as one command.

It needs a GPU, `make cuda` once before, and an engine: TensorRT's, or ONNX Runtime with CUDA (onnxruntime-gpu).
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edged.adapters.cuda import engine_ort
from edged.adapters.cuda.engine import Engine
from edged.adapters.cuda.gpu import Gpu
from edged.adapters.cuda.kernels import built
from edged.adapters.cuda.opening import missing
from edged.frame import U8
from engines import machine
from engines.catalogue import load
from engines.store import Store
from tools.cuda import figures
from tools.cuda.figures import Effort, Makers
from tools.cuda.report import markdown

ROOT = Path(__file__).parents[2]
DETECTOR, POSES = "det-person-horse", {"person": "rtmpose-t-lsp14"}
CLIP = ROOT / "tools/demo/stall.mp4"
FRAMES = 24
KERNELS = ["-m", "pytest", "-q", "tests/cuda/test_kernels.py"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.cuda", description=__doc__)
    parser.add_argument("folder", type=Path, help="where cuda.json and README.md go")
    parser.add_argument("--quick", action="store_true", help="fewer frames, to see that it works")
    args = parser.parse_args()
    lack = missing() or (None if engine_ort.present() else "no onnxruntime-gpu; pip install it in onnxruntime's place")
    if lack:
        sys.stderr.write(f"cannot be measured here: {lack}\n")
        return 1
    effort = Effort(frames=40, warm_up=5, launches=20, long=200) if args.quick else Effort()
    image = built()
    assert image is not None  # noqa: S101  # `missing` has looked
    found = {"machine": asdict(machine.here()), "host": platform.platform(), "checks": checks()}
    found |= measured(Makers(_detector, {label: partial(_pose, card) for label, card in POSES.items()}, image), effort)
    args.folder.mkdir(parents=True, exist_ok=True)
    (args.folder / "cuda.json").write_text(json.dumps(found, indent=1) + "\n")
    (args.folder / "README.md").write_text(markdown(found))
    return 0


def measured(makers: Makers, effort: Effort, images: list[U8] | None = None) -> dict[str, Any]:
    images = images or clip()
    engines = figures.engines_alone(makers, effort)
    loop = figures.loops(makers, images, effort)
    return {
        "effort": asdict(effort),
        "engines_ms": engines,
        "loops": loop,
        "loop_per_engines": figures.ratios(engines, loop["as it is"]),
        "bandwidth": figures.bandwidth(makers, images, effort),
        "steady": figures.steady(makers, images, effort),
    }


def checks() -> dict[str, str]:
    """The tests on this GPU, and under compute-sanitizer where there is one: the last line of each."""
    runs: dict[str, Sequence[str]] = {"tests": [sys.executable, "-m", "pytest", "-q", "tests/cuda"]}
    sanitizer = shutil.which("compute-sanitizer")
    for tool in ("memcheck", "racecheck") if sanitizer else ():
        runs[tool] = [str(sanitizer), "--tool", tool, "--error-exitcode", "9", sys.executable, *KERNELS]
    said = {name: _last_line(command) for name, command in runs.items()}
    return said if sanitizer else {**said, "sanitizer": "not here: compute-sanitizer is not installed"}


def clip() -> list[U8]:
    capture, images = cv2.VideoCapture(str(CLIP)), []
    for number in range(FRAMES):
        capture.set(cv2.CAP_PROP_POS_FRAMES, 12 * number)
        images.append(np.asarray(capture.read()[1], np.uint8))
    return images


def _last_line(command: Sequence[str]) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).strip().splitlines() or ["nothing"]
    return f"{lines[-1]} (exit {done.returncode})"


def _detector(gpu: Gpu) -> Engine:
    card = load()[DETECTOR]
    return engine_ort.made(card, Store(Path("/nonexistent")).path(card), gpu)


def _pose(name: str, gpu: Gpu, batches: Sequence[int] | None) -> Engine:
    card = load()[name]
    make: Callable[..., Engine] = engine_ort.made
    return make(card, Store(Path("/nonexistent")).path(card), gpu, batches)


if __name__ == "__main__":
    sys.exit(main())
