"""`python -m tools.cuda REPORT_FOLDER`: the CUDA backend on the GPU that is here, checked and measured, as one command.

It needs a GPU, pycuda and kernels (`make cuda` once before), and what the engines run on: ONNX Runtime with CUDA
(onnxruntime-gpu), or else PyTorch with CUDA, the starter models only. What lacks is told before anything begins. Peers
are no dependencies: who is not here is not measured.
Each part has a process and a time limit of its own. A run that was killed, or came to its end, or had a part fail, is
gone on with by the same command; parts that are done stay done.
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
from tools.bench.absent import Absent
from tools.bench.contenders import path_of
from tools.cuda import needs, parts
from tools.cuda.apart import ROOT, Apart
from tools.cuda.figures import Effort, Figures
from tools.cuda.parts import KINDS, Kind
from tools.cuda.peers import STARTER
from tools.cuda.report import bars, page
from tools.kept import Kept
from tools.reports import writer
from tools.reports.writer import PACKAGES, environment

SHARED = ROOT.parent / "shared"


def command() -> int:
    """0 when everything was measured."""
    args = _parser().parse_args()
    effort = Effort(frames=40, warm_up=5, launches=20, long=200, rounds=10, turns=3) if args.quick else Effort()
    if args.part:
        args.into.write_text(json.dumps(_part(args, effort)))
        return 0
    engines, whys = _engines(args.engines)
    for why in whys:
        print(f"{'cannot be measured here' if engines is None else 'done without'}: {why}", file=sys.stderr, flush=True)
    if engines is None:
        return 1
    for left_out in needs.left_out(args.detector, args.photographs):
        print(f"left out: {left_out}", file=sys.stderr, flush=True)
    return 0 if reported(args, effort, engines) else 1


def reported(args: argparse.Namespace, effort: Effort, engines: Kind) -> bool:
    """Whether every part was measured; the page tells which were not, and why."""
    here = {
        "gpu": asdict(machine.detect()),
        "engines": engines,
        "environment": environment((*PACKAGES, "onnxruntime-gpu")),
    }
    kept = Kept(args.folder / "unfinished.json", {**asdict(effort), **here})
    files = ["--detector", str(args.detector.absolute()), "--photographs", str(args.photographs.absolute())]
    options = ["--engines", engines, *files, *(["--quick"] if args.quick else [])]
    apart = Apart(args.folder.absolute(), options)
    until_s, page = time.monotonic() + args.seconds, args.folder / "cuda.json"
    earlier = json.loads(page.read_text()) if page.exists() else {}
    found = {**here, **parts.measured(apart, effort, kept, until_s, earlier)}
    write(args.folder, found)
    done = set(parts.LIMITS_S) <= set(kept.parts)
    if done:
        kept.forget()
    return done


def write(folder: Path, found: Figures) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    writer.write(folder, page(found), found, name="cuda")
    if drawn := bars(found):
        plots.stages(folder / "stages.webp", drawn)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.cuda", description=__doc__)
    parser.add_argument("folder", type=Path, help="where cuda.json and README.md go")
    parser.add_argument("--quick", action="store_true", help="fewer frames, to see that it works")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end by then, with what there is")
    parser.add_argument("--engines", choices=KINDS, help="on what they run (the first of these that does)")
    parser.add_argument("--detector", type=Path, default=SHARED / "models/upstream/rtmdet_nano.onnx")
    parser.add_argument("--photographs", type=Path, default=SHARED / "data/lsp/val_full", help="shown to the peers")
    parser.add_argument("--part", choices=parts.LIMITS_S, help="this one alone, into the file --into")
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    return parser


def _part(args: argparse.Namespace, effort: Effort) -> Figures:
    try:
        made: Figures = parts.of_engines(args.engines, args.detector, args.photographs, effort)[args.part]()
    except Absent as why:
        return {"why_not": str(why)}
    return made


def _engines(wanted: Kind | None) -> tuple[Kind | None, list[str]]:
    """On what they run here, and why on nothing better; None: on nothing."""
    if machine.detect().gpu is None:
        return None, ["no GPU answers; `edged doctor` tells more"]
    if compiled_kernels() is None:
        return None, ["there are no CUDA kernels; `make kernels` compiles them, here or on another machine with nvcc"]
    whys: list[str] = []
    for kind in (wanted,) if wanted else KINDS:
        why = _refusal(kind)
        if why is None:
            return kind, whys
        whys.append(why)
    return None, whys


def _refusal(kind: Kind) -> str | None:
    """Why the starter detector does not run on this GPU; None: it does."""
    if kind == "onnxruntime" and not engine_ort.is_available():
        return "this ONNX Runtime knows no CUDA; pip install onnxruntime-gpu in onnxruntime's place"
    with closing(Gpu()) as gpu:
        try:
            with closing(parts.engine(kind, STARTER, path_of(STARTER), gpu)) as engine:
                engine.enqueue(1)
                gpu.wait()
        except (ModelMissing, ModelFault, Absent) as refusal:
            return str(refusal)
    return None
