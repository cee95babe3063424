"""`python -m tools.precision.engines DATA`: TensorRT-RTX builds every model that is here, in FP32, FP16 and INT8.

On a machine without a GPU; the engines are not kept. The models of the package, those of `--models` (published weights,
CARD.onnx), and those of `--untrained` (random weights, likewise: what they compute means nothing, their builds do).
Writes tools/reports/engines: seconds, sizes, how far each precision is from FP32 on photographs, and what INT8 loses on
data with a truth, where no INT8 of a model is in the package too.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import onnx

from edged.config.tables.models import EnginesConfig
from edged.frame import F32
from engines.build.process import BuildProcess
from engines.card import Card, Precision
from engines.catalogue import load
from engines.errors import EngineError
from engines.prepare import batches, prepare
from engines.prepare.model import Batch, PreparedModel
from engines.store.key import BuildOptions
from engines.store.model_store import ModelStore
from tools.precision import int8
from tools.precision.accuracy import Truth
from tools.precision.drift import drift, outputs
from tools.precision.page import page
from tools.precision.pictures import inputs
from tools.reports import writer
from tools.resume import SavedParts

OUT = Path(__file__).parents[1] / "reports/engines"
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")
WORKSPACE_MB = 512
FEW = 8  # photographs for the ranges of random weights
BYTES_PER_MB = 1_000_000

Origin = Literal["in the package", "published", "untrained"]


@dataclass(frozen=True, slots=True)
class Subject:
    """A model to build."""

    card: Card
    file: Path
    origin: Origin


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.precision.engines", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", type=Path, help="folder of published weights")
    parser.add_argument("--untrained", type=Path, help="folder of nets with random weights")
    parser.add_argument("--pictures", type=int, default=64, help="for ranges, and as many for the comparison")
    parser.add_argument("--first", type=int, help="photographs of each kind for what INT8 loses")
    parser.add_argument("--tries", type=int, default=len(int8.LEFT_OUT), help="numbers of convolutions left in FP32")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the report")
    args = parser.parse_args()
    key = {"pictures": args.pictures, "first": args.first, "tries": args.tries}
    kept = SavedParts(args.out / "engines.unfinished.json", key)
    truth = Truth(args.data, args.first)
    rows = {
        subject.card.name: kept.part(
            f"{subject.card.name}, {_sha256(subject.file)[:8]}", partial(row, subject, truth, args)
        )
        for subject in subjects(args.models, args.untrained)
    }
    packages = ("onnxruntime", "onnx", "tensorrt-rtx", "tensorrt_rtx_cu13_bindings")
    left_out = int8.LEFT_OUT[: args.tries]
    how = {"left_out": left_out, "first": args.first, "environment": writer.environment(packages)}
    found = {"models": rows, **how}
    writer.write(args.out, page(found, args.pictures), found, name="engines")
    kept.forget()


def subjects(models: Path | None, untrained: Path | None) -> Iterator[Subject]:
    """Those of the package first."""
    cards = load()
    for card in cards.values():
        if card.source.bundled:
            yield Subject(card, ModelStore(Path("absent")).path(card), "in the package")
    folders: list[tuple[Path | None, Origin]] = [(models, "published"), (untrained, "untrained")]
    for folder, origin in folders:
        for file in sorted(folder.glob("*.onnx")) if folder else ():
            yield Subject(cards[file.stem], file, origin)


def row(subject: Subject, truth: Truth, args: argparse.Namespace) -> dict[str, Any]:
    """Return how the model is built in each precision, and what INT8 of it loses."""
    count = FEW if subject.origin == "untrained" else args.pictures
    calibration, check = (inputs(subject.card, args.data, split, count) for split in ("train", "val"))
    card, int8_row = _with_int8(subject, calibration, check, truth, args.tries)
    built: dict[str, Any] = {}
    reference: list[list[F32]] = []
    for precision in PRECISIONS:
        begun_s = time.process_time()
        model, sizes = _prepared(card, subject.file, precision)
        prepare_s = round(time.process_time() - begun_s, 1)
        said = outputs(model.onnx, check)
        reference = reference or said  # FP32 is the first
        apart = drift(card.model_copy(update={"family": model.family}), reference, said)
        is_known = subject.origin != "untrained" or card.task in {"lift", "root"}  # what is in pixels needs training
        shown = asdict(apart) if precision != "fp32" and is_known else None
        built[precision] = {"prepare_s": prepare_s, "drift": shown, **build(model, sizes)}
        print(f"{card.name} in {precision}: {built[precision]}", flush=True)
    return {"origin": subject.origin, "task": card.task, "built": built, "int8": int8_row}


def _with_int8(
    subject: Subject, calibration: Sequence[F32], check: Sequence[F32], truth: Truth, tries: int
) -> tuple[Card, dict[str, Any]]:
    """Return the card with INT8: its own, else as measured here, whether it is good enough or not."""
    card, data = subject.card, subject.file.read_bytes()
    if card.int8 is not None and card.int8.sha256 == hashlib.sha256(data).hexdigest():
        lost = {name: value for name, value in card.int8.measured.items() if isinstance(value, float)}
        return card, {"fp32": len(card.int8.fp32), "lost": lost, "faults": []}
    if subject.origin == "untrained":
        model = onnx.load_model_from_string(prepare(card, data, batch=1, precision="fp32").onnx)
        found = int8.int8_of(data, int8.activation_ranges(model, calibration))
        return card.model_copy(update={"int8": found}), {}
    best = int8.measured(card, subject.file, calibration, check, truth, tries=tries)
    how = {"fp32": len(best.int8.fp32), "lost": best.lost, "faults": list(best.faults)}
    return card.model_copy(update={"int8": best.int8}), how


def _prepared(card: Card, file: Path, precision: Precision) -> tuple[PreparedModel, tuple[int, ...]]:
    """Return the model as the daemon has it built, and its batch sizes."""
    data = file.read_bytes()
    sizes = batches(card, data)
    batch: Batch = 1 if len(sizes) == 1 else (sizes[0], sizes[-2], sizes[-1])
    return prepare(card, data, batch=batch, precision=precision), sizes


def build(model: PreparedModel, sizes: Sequence[int]) -> dict[str, Any]:
    """Return CPU time, size and memory of a build at the usual level, or why it failed."""
    profiles = tuple((n, n, n) for n in sizes) if len(sizes) > 1 else ()
    options = BuildOptions(level=EnginesConfig().optimization_level, workspace_mb=WORKSPACE_MB, profiles=profiles)
    before_s = _children_s()
    with TemporaryDirectory() as folder:
        try:
            made = BuildProcess(Path(folder), "tensorrt-rtx").build(model, options, lambda _: None, threading.Event())
        except EngineError as refusal:
            return {"failed": str(refusal)}
        return {
            "build_s": round(_children_s() - before_s, 1),
            "engine_mb": round(made.plan.stat().st_size / BYTES_PER_MB, 1),
            "peak_rss_mb": made.peak_rss_mb,
        }


def _children_s() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
