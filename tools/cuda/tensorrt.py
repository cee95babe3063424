"""TensorRT engines of the starter models in one precision: built, tested on the GPU as the daemon does, and timed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from edged.commands.engines import drift_text
from edged.config.tables.models import ModelsConfig
from edged.inference.cuda.context import Gpu
from edged.inference.cuda.engine import Engine
from edged.inference.engine_builder import BuiltEngine, engine_builder
from engines.build.service import EngineBuilder
from engines.card import Card, Precision
from engines.catalogue import load
from engines.errors import EngineError, NoTensorRT
from engines.store.key import BuildOptions
from tools.bench.contenders import model_path
from tools.bench.unavailable import Unavailable
from tools.cuda.figures import Effort, Figures, on_gpu_ms
from tools.reports.writer import significant, table

MODELS = ModelsConfig().card_names
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")
LIMIT_S = 240  # of the engines of one precision
KEPT = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "edged-tools"  # engines of `open_engine`

MakeBuilder = Callable[[Path], EngineBuilder]  # takes the folder of its store; raises `NoTensorRT`


def open_engine(card: Card, file: Path, gpu: Gpu, batches: Sequence[int] | None = None) -> Engine:
    """Return the FP16 engine that the daemon would use; built, and tested on this GPU, unless an earlier run did.

    Raises `Unavailable`, also for other `batches` than those of the card.
    """
    if batches is not None and tuple(batches) != card.batches:
        raise Unavailable(f"TensorRT engines of {card.name} are built for batches of {card.batches}")
    try:
        builder = engine_builder(KEPT, "tensorrt")
        job = builder.job(card, file, level=BuildOptions().level, workspace_mb=0)
        plan = builder.plans.find(card.name, job.key) or builder.build(job, lambda progress: None, threading.Event())
        return BuiltEngine(job, plan).engine(gpu)
    except EngineError as refusal:  # no TensorRT, or no engine that it makes
        raise Unavailable(str(refusal)) from refusal


def part(precision: Precision) -> str:
    """Return the name of a part of the report."""
    return f"tensorrt_{precision}"


def engines(precision: Precision, effort: Effort, builder: MakeBuilder | None = None) -> Figures:
    """Return figures by model, or the reason why a model, or all of them, have no engine."""
    with TemporaryDirectory() as folder:
        try:
            made = builder(Path(folder)) if builder else engine_builder(Path(folder), "tensorrt")
        except NoTensorRT as lack:
            return {"why_not": str(lack)}
        return {name: _engine(made, name, precision, effort) for name in MODELS}


def without_int8() -> Iterator[str]:
    """Yield a sentence per model whose card has no INT8."""
    cards = load()
    yield from (f"INT8 of {name}: its card has none" for name in MODELS if cards[name].int8 is None)


def lines(by_precision: dict[Precision, Figures]) -> Iterator[str]:
    """Yield the lines of the report."""
    measured = {kind: part for kind, part in by_precision.items() if "why_not" not in part}
    lacks = [f"{kind}: {part['why_not']}" for kind, part in by_precision.items() if kind not in measured]
    rows: list[list[str]] = []
    for name in MODELS if measured else ():
        for kind, part in measured.items():
            if reason := part[name].get("why_not"):
                lacks.append(f"{name}, {kind}: {reason}")
            else:
                rows.append([name, kind, *_cells(part[name])])
    if rows:
        yield from table(("model", "in", "build, s", "MB", "differs from FP32 by", "ms by batch"), rows)
        yield ""
    yield from (f"- not measured: {lack}" for lack in lacks)


def _engine(builder: EngineBuilder, name: str, precision: Precision, effort: Effort) -> Figures:
    """Whatever was built has passed its self-test on this GPU."""
    try:
        job = builder.job(
            load()[name], model_path(name), level=BuildOptions().level, workspace_mb=0, precision=precision
        )
        plan = builder.build(job, lambda progress: None, threading.Event())
        with closing(Gpu()) as gpu, closing(BuiltEngine(job, plan).engine(gpu)) as engine:
            ms = {str(n): on_gpu_ms(gpu, partial(engine.enqueue, n), effort) for n in engine.batches}
    except EngineError as refusal:
        return {"why_not": str(refusal)}
    drift = plan.proof["drift"] if plan.proof else plan.meta["drift"]
    return {"build_s": plan.meta["seconds"], "bytes": plan.meta["bytes"], "drift": drift_text(drift), "ms": ms}


def _cells(figures: Figures) -> Sequence[str]:
    by_batch = ", ".join(f"{batch}: {significant(ms)}" for batch, ms in figures["ms"].items())
    return [
        significant(figures["build_s"]), f"{figures['bytes'] / 1e6:.1f}", figures["drift"], by_batch,
    ]  # fmt: skip
