"""`python -m tools.cuda REPORT_FOLDER`: tests and measures the CUDA backend on the GPU of this machine.

It needs a GPU, pycuda and kernels (`make cuda` once before), and a runtime for the engines: ONNX Runtime with CUDA
(onnxruntime-gpu), or else PyTorch with CUDA, the starter models only, or else TensorRT, as on a Jetson; `--engines`
chooses. What is missing is listed first. The libraries
compared are no dependencies: those that are not installed are not measured.
Each part has a process and a time limit of its own. The same command continues a run that was interrupted, reached
--seconds, or had a part fail; finished parts are not repeated.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from edged.errors import ModelFault, ModelMissing
from edged.inference.cuda import engine_ort
from edged.inference.cuda.context import Gpu
from edged.inference.cuda.kernels import compiled_kernels
from engines import machine
from tools.bench import plots
from tools.bench.contenders import model_path
from tools.bench.unavailable import Unavailable
from tools.cuda import parts, requirements, tensorrt
from tools.cuda.figures import Effort, Figures
from tools.cuda.isolated import ROOT, PartProcess
from tools.cuda.libraries import STARTER
from tools.cuda.parts import KINDS, Kind
from tools.cuda.report import bars, page
from tools.reports import writer
from tools.reports.writer import PACKAGES, environment
from tools.resume import SavedParts

SHARED = ROOT.parent / "shared"


def command() -> int:
    """Measure; returns 0 when every part was measured."""
    args = _parser().parse_args()
    effort = Effort(frames=40, warm_up=5, launches=20, long=200, rounds=10, turns=3) if args.quick else Effort()
    if args.part:
        args.into.write_text(json.dumps(_part(args, effort)))
        return 0
    engines, reasons = _choose_runner(args.engines)
    for reason in reasons:
        print(f"{'cannot be measured here' if engines is None else 'skipped'}: {reason}", file=sys.stderr, flush=True)
    for skipped in (*requirements.skipped_comparisons(args.detector, args.photographs), *tensorrt.without_int8()):
        print(f"not measured: {skipped}", file=sys.stderr, flush=True)
    if engines is None:
        return 1
    return 0 if measure_all(args, effort, engines) else 1


def measure_all(args: argparse.Namespace, effort: Effort, engines: Kind) -> bool:
    """Measure and write the report, which has the reasons of missing parts; return whether every part was measured."""
    here = {
        "gpu": asdict(machine.detect()),
        "engines": engines,
        "environment": environment((*PACKAGES, "onnxruntime-gpu")),
    }
    saved = SavedParts(args.folder / "unfinished.json", {**asdict(effort), **here})
    files = ["--detector", str(args.detector.absolute()), "--photographs", str(args.photographs.absolute())]
    options = ["--engines", engines, *files, *(["--quick"] if args.quick else [])]
    measure_part = PartProcess(args.folder.absolute(), options)
    until_s, page = time.monotonic() + args.seconds, args.folder / "cuda.json"
    earlier = json.loads(page.read_text()) if page.exists() else {}
    found = {**here, **parts.measured(measure_part, effort, saved, until_s, earlier)}
    write(args.folder, found)
    done = set(parts.LIMITS_S) <= set(saved.parts)
    if done:
        saved.forget()
    return done


def write(folder: Path, found: Figures) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    writer.write(folder, page(found), found, name="cuda")
    if drawn := bars(found):
        plots.stages(folder / "stages.webp", drawn)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.cuda", description=__doc__)
    parser.add_argument("folder", type=Path, help="where cuda.json and README.md go")
    parser.add_argument("--quick", action="store_true", help="fewer frames, as a quick check")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="time limit of the whole run")
    parser.add_argument("--engines", choices=KINDS, help="runtime of the engines (default: the first that works)")
    parser.add_argument("--detector", type=Path, default=SHARED / "models/upstream/rtmdet_nano.onnx")
    parser.add_argument(
        "--photographs", type=Path, default=SHARED / "data/lsp/val_full", help="input of the comparisons"
    )
    parser.add_argument("--part", choices=parts.LIMITS_S, help="measure this part only, into the file --into")
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    return parser


def _part(args: argparse.Namespace, effort: Effort) -> Figures:
    try:
        made: Figures = parts.parts_of_runner(args.engines, args.detector, args.photographs, effort)[args.part]()
    except Unavailable as reason:
        return {"why_not": str(reason)}
    return made


def _choose_runner(wanted: Kind | None) -> tuple[Kind | None, list[str]]:
    """Return the best runtime that works here, or None, and reason the better ones do not work."""
    if machine.detect().gpu is None:
        return None, ["no GPU found; run `edged doctor`"]
    if compiled_kernels() is None:
        return None, ["no compiled CUDA kernels; run `make kernels` on a machine with nvcc"]
    reasons: list[str] = []
    for kind in (wanted,) if wanted else KINDS:
        reason = _unavailable_reason(kind)
        if reason is None:
            return kind, reasons
        reasons.append(reason)
    return None, reasons


def _unavailable_reason(kind: Kind) -> str | None:
    """Return reason the starter detector does not run on this GPU; None if it does."""
    if kind == "onnxruntime" and not engine_ort.is_available():
        return "this ONNX Runtime has no CUDA; replace onnxruntime by onnxruntime-gpu"
    with closing(Gpu()) as gpu:
        try:
            with closing(parts.engine(kind, STARTER, model_path(STARTER), gpu)) as engine:
                engine.enqueue(1)
                gpu.wait()
        except (ModelMissing, ModelFault, Unavailable) as error:
            return str(error)
    return None
