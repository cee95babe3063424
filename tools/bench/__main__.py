"""`python -m tools.bench`: time per frame on this machine, compared with rtmlib and plain ONNX Runtime, with a report.

Contenders run in turn, in short blocks, so that other load on the machine affects all of them. An interrupted run
continues when it is started again. The libraries compared are no dependencies: `pip install --no-deps rtmlib==0.0.16
tqdm`, OpenVINO `pip install '.[openvino]'`, PyTorch `pip install '.[train]'`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from edged.inference.cpu.onnxruntime import OrtSession
from engines.catalogue import load
from tools.bench import batches, configurations, libraries, plots, profiling, report, scaling
from tools.bench.contenders import (
    DETECTOR,
    POSE,
    Contender,
    PlainOnnxRuntime,
    Rtmlib,
    cpu_pipeline,
    model_path,
    openvino_contenders,
)
from tools.bench.frames import Scene, photographs, scenes
from tools.bench.unavailable import Unavailable
from tools.reports import writer
from tools.reports.writer import environment
from tools.resume import SavedParts

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
REPORT = ROOT / "tools/reports/bench"
FULL = {"turns": 20, "scenes": 20, "seconds": 12.0}  # 20 turns of 10 frames
QUICK = {"turns": 3, "scenes": 3, "seconds": 3.0}
PEOPLE = (1, 2, 4)  # numbers of people in the comparison


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("--detector", type=Path, default=SHARED / "models/upstream/rtmdet_nano.onnx")
    parser.add_argument("--photographs", type=Path, default=SHARED / "data/lsp/val_full")
    parser.add_argument("--quick", action="store_true", help="a few frames of each, as a quick check")
    parser.add_argument(
        "--only", choices=("peers", "configurations"), help="a part of the report; the rest of it stays as it is"
    )
    parser.add_argument("--out", type=Path, help="directory of the report (the project's; none with --quick)")
    parser.add_argument("--compare", type=Path, metavar="EARLIER.json", help="fail when a ratio is worse than there")
    args = parser.parse_args()
    earlier = json.loads(args.compare.read_text()) if args.compare else None
    out = args.out or (None if args.quick else REPORT)
    figures = measured(args, out)
    if args.only:
        figures = {**json.loads((REPORT / "bench.json").read_text()), **figures}
    print("\n".join(report.page(figures)))
    if out:
        write(out, figures)
    if earlier and (found := report.regressions(figures, earlier)):
        raise SystemExit("worse than earlier: " + "; ".join(found))


class Bench:
    """Models, contenders and scenes of the benchmark, created when first needed."""

    def __init__(self, args: argparse.Namespace, amount: dict[str, Any]) -> None:
        self._args, self._amount = args, amount

    @cached_property
    def sessions(self) -> tuple[OrtSession, OrtSession]:
        cards = load()
        return OrtSession(cards[DETECTOR], self._args.detector), OrtSession(cards[POSE], model_path(POSE))

    @cached_property
    def contenders(self) -> dict[str, Contender]:
        detector = self._args.detector
        found: dict[str, Contender] = {
            "edged": cpu_pipeline(*self.sessions),
            "rtmlib": Rtmlib(detector),
            "plain ONNX Runtime": PlainOnnxRuntime(detector),
        }
        try:
            return {**found, **openvino_contenders(detector)}
        except Unavailable as lack:
            print(f"OpenVINO is not compared: {lack}")
            return found

    def scenes(self, people: int) -> list[Scene]:
        finder = cpu_pipeline(*self.sessions)
        finder.set_max_people(people)
        return scenes(photographs(self._args.photographs), people, self._amount["scenes"], finder)

    def _peers(self, people: int) -> dict[str, Any]:
        return libraries.measure(self.contenders, self.scenes(people), people, self._amount["turns"])

    def parts(self) -> dict[str, Callable[[], Any]]:
        """Return the functions that measure the parts of the report, by name."""
        turns, detector = self._amount["turns"], self._args.detector
        models = {"detect": model_path(configurations.DETECTOR), "pose": model_path(configurations.POSE)}
        return {
            **{f"peers {people}": partial(self._peers, people) for people in PEOPLE},
            "configurations": lambda: configurations.measure(self.scenes, turns),
            "costs": lambda: profiling.measure(models, turns),
            "batches": lambda: batches.measure(turns),
            "subjects": lambda: scaling.by_subjects(*self.sessions, self.scenes(16), turns),
            "sizes": lambda: scaling.by_size(*self.sessions, self.scenes(1), turns),
            "cameras": lambda: scaling.by_cameras(
                detector, [frame.bgr for frame in self.scenes(1)[0]], self._amount["seconds"]
            ),
        }


def measured(args: argparse.Namespace, out: Path | None) -> dict[str, Any]:
    amount = QUICK if args.quick else FULL
    saved = SavedParts(out / "unfinished.json" if out else None, {**amount, **environment()})
    makers = Bench(args, amount).parts()
    wanted = [name for name in makers if name.split()[0] == (args.only or name.split()[0])]
    parts = {name: saved.part(name, makers[name]) for name in wanted}
    saved.forget()
    of_people = {name.split()[1]: part for name, part in parts.items() if name.startswith("peers ")}
    rest = {name: part for name, part in parts.items() if not name.startswith("peers ")}
    return {
        "environment": {**environment(), "others_cores": float(np.mean(list(saved.others.values())))},
        **({"peers": of_people} if of_people else {}),
        **rest,
    }


def write(out: Path, figures: dict[str, Any]) -> None:
    writer.write(out, report.page(figures), figures, name="bench")
    bars = {f"CPU backend, {people} subject{'s' if people != '1' else ''}": figures["peers"][people]["stage_ms"]
            for people in ("1", "4")}  # fmt: skip
    plots.stages(out / "stages.webp", bars)
    plots.growth(out / "growth.webp", figures)


if __name__ == "__main__":
    main()
