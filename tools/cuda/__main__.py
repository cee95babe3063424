"""`python -m tools.cuda REPORT_FOLDER`: the CUDA plane on the GPU that is here, checked and measured, as one command.

It needs a GPU, `make cuda` once before, and ONNX Runtime with CUDA (onnxruntime-gpu), on which the engines run. Peers
are no dependencies: `pip install --no-deps rtmlib==0.0.16 tqdm`, PyTorch with CUDA; who is not here is not measured. A
killed run goes on where it was.
"""

from __future__ import annotations

import argparse
import json
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
from tools.bench import plots
from tools.bench.contenders import POSE, Ours, path_of
from tools.bench.environment import PACKAGES, environment
from tools.bench.frames import Scene, photographs, scenes
from tools.cuda import figures, peers, timeline
from tools.cuda.figures import Effort, Makers
from tools.cuda.peers import Course
from tools.cuda.report import bars, markdown
from tools.kept import Kept

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
CLIP = ROOT / "tools/demo/stall.mp4"
FRAMES = 24
KERNELS = ["-m", "pytest", "-q", "tests/cuda/test_kernels.py"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.cuda", description=__doc__)
    parser.add_argument("folder", type=Path, help="where cuda.json and README.md go")
    parser.add_argument("--quick", action="store_true", help="fewer frames, to see that it works")
    parser.add_argument("--detector", type=Path, default=SHARED / "models/upstream/rtmdet_nano.onnx")
    parser.add_argument("--photographs", type=Path, default=SHARED / "data/lsp/val_full", help="shown to the peers")
    args = parser.parse_args()
    lack = missing() or (None if engine_ort.present() else "no onnxruntime-gpu; pip install it in onnxruntime's place")
    if lack:
        sys.stderr.write(f"cannot be measured here: {lack}\n")
        return 1
    effort = Effort(frames=40, warm_up=5, launches=20, long=200, turns=3) if args.quick else Effort()
    course = Course(
        scenes=partial(_scenes, args.photographs, effort.turns),
        turns=effort.turns,
        detector=args.detector,
    )
    here = {"gpu": asdict(machine.here()), "environment": environment((*PACKAGES, "onnxruntime-gpu"))}
    kept = Kept(args.folder / "unfinished.json", {**asdict(effort), **here})
    starter, published = _makers(peers.STARTER, path_of(peers.STARTER)), _makers(peers.PUBLISHED, args.detector)
    found = {**here, "checks": kept.part("checks", checks), **measured(starter, published, course, effort, kept=kept)}
    kept.forget()
    write(args.folder, found)
    return 0


def measured(
    makers: Makers, published: Makers, course: Course, effort: Effort, *, kept: Kept, images: list[U8] | None = None
) -> dict[str, Any]:
    """Every part of the report by name."""
    images = images or clip()
    parts: dict[str, Callable[[], Any]] = {
        "engines_ms": lambda: figures.engines_alone(makers, effort),
        "loops": lambda: figures.loops(makers, images, effort),
        "stages": lambda: timeline.stages(makers, images, effort),
        "bandwidth": lambda: figures.bandwidth(makers, images, effort),
        "starters": lambda: peers.starters(makers, course),
        "published": lambda: peers.published(published, course),
        "steady": lambda: figures.steady(makers, images, effort),
    }
    found = {name: kept.part(name, make) for name, make in parts.items()}
    ratios = figures.ratios(found["engines_ms"], found["loops"]["as it is"], effort.subjects)
    return {
        "effort": asdict(effort),
        **found,
        "loop_per_engines": ratios,
        "others_cores": float(np.mean(list(kept.others.values()))),
    }


def write(folder: Path, found: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cuda.json").write_text(json.dumps(found, indent=1) + "\n")
    (folder / "README.md").write_text(markdown(found))
    if drawn := bars(found):
        plots.stages(folder / "stages.webp", drawn)


def checks() -> dict[str, str]:
    """The tests on this GPU, and under compute-sanitizer where there is one: the last line of each."""
    runs: dict[str, Sequence[str]] = {"tests": [sys.executable, "-m", "pytest", "-q", "tests/cuda"]}
    sanitizer = shutil.which("compute-sanitizer")
    for tool in ("memcheck", "racecheck") if sanitizer else ():
        runs[tool] = [str(sanitizer), "--tool", tool, "--error-exitcode", "9", sys.executable, *KERNELS]
    said = {name: _last_line(command) for name, command in runs.items()}
    return said if sanitizer else {**said, "sanitizer": "not here: compute-sanitizer is not installed"}


def clip(frames: int = FRAMES) -> list[U8]:
    capture, images = cv2.VideoCapture(str(CLIP)), []
    for number in range(frames):
        capture.set(cv2.CAP_PROP_POS_FRAMES, 12 * number)
        images.append(np.asarray(capture.read()[1], np.uint8))
    return images


def _last_line(command: Sequence[str]) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).strip().splitlines() or ["nothing"]
    return f"{lines[-1]} (exit {done.returncode})"


def _makers(detector: str, file: Path) -> Makers:
    image = built()
    assert image is not None  # noqa: S101  # `missing` has looked
    return Makers(partial(_engine, detector, file), {"person": partial(_engine, POSE, path_of(POSE))}, image)


def _engine(name: str, file: Path, gpu: Gpu, batches: Sequence[int] | None = None) -> Engine:
    make: Callable[..., Engine] = engine_ort.made
    return make(load()[name], file, gpu, batches)


def _scenes(folder: Path, count: int, people: int, ours: Ours) -> list[Scene]:
    return scenes(photographs(folder), people, count, ours)


if __name__ == "__main__":
    sys.exit(main())
