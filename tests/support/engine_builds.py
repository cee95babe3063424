"""An engine builder by script, and a service that runs it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from edged.inference.cpu.onnxruntime import OnnxRunner
from edged.inference.decode import ALL_DECODERS
from edged.inference.engine_builds import EngineBuildService
from engines.bindings import TensorRT
from engines.build.process import BuildProcess, BuiltPlan
from engines.build.progress import Progress
from engines.build.service import EngineBuilder, Runtimes
from engines.card import Card, Int8, Precision, Tolerance
from engines.catalogue import load
from engines.errors import Cancelled, CardError
from engines.machine import Machine
from engines.prepare.model import PreparedModel
from engines.store.engine_store import EngineStore
from engines.store.key import BuildOptions

LEVEL = 3
INT8 = Int8(sha256="0" * 64, ranges={}, tolerance=Tolerance())
NAMES = ("rtmpose-t-coco17", "rtmpose-t-ap10k-horse")


class OnnxAsPlan:
    """A build process whose plans are the prepared ONNX files; `built` keeps them with their batch sizes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.built: dict[bytes, Sequence[int]] = {}

    def build(self, model: PreparedModel, options: BuildOptions, *_: object) -> BuiltPlan:
        self._folder.mkdir(parents=True, exist_ok=True)
        plan = self._folder / "plan"
        plan.write_bytes(model.onnx)
        self.built[model.onnx] = [most for _, _, most in options.profiles] or [1]
        return BuiltPlan(plan=plan, seconds=1.5, peak_rss_mb=2)


def onnx_builder(folder: Path, process: OnnxAsPlan, engine: Any = None) -> EngineBuilder:
    """An engine builder without TensorRT: all but the build is real. `engine` runs plans; None: nothing can here."""
    runtimes = Runtimes(reference=OnnxRunner, engine=engine, decoders=ALL_DECODERS)
    trt = TensorRT(api=None, flavour="tensorrt", version="10.3.0")
    return EngineBuilder(EngineStore(folder), trt, Machine(gpu="a GPU"), runtimes, cast(BuildProcess, process))


class ScriptedBuilder:
    """An engine builder by script: which tested engines are stored, and how each model's build ends."""

    def __init__(self, stored: tuple[str, ...] = (), builds: dict[str, Exception | None] | None = None) -> None:
        self.stored = {(name, LEVEL) for name in stored}
        self.builds = builds or {}
        self.forgotten: list[str] = []
        self.asked: list[tuple[str, Precision]] = []  # every model and precision that a job was made for
        self.refused: set[Precision] = set()  # precisions that no model can be prepared in
        self.plans = SimpleNamespace(
            find=lambda name, key: (name, key.level) in self.stored or None,
            forget=lambda name, key: self.forgotten.append(name),
        )
        self.last_attempt = lambda job: ("JetPack has changed", 400.0)
        self.stops_at_once = True  # when a build is cancelled
        self.passes_selftest = True
        self.building = threading.Event()
        self.released = threading.Event()

    def job(self, card: Card, file: Path, *, level: int, precision: Precision, **_: int) -> Any:
        self.asked.append((card.name, precision))
        if precision in self.refused or precision not in card.precisions:
            raise CardError(f"no {precision}")
        return SimpleNamespace(card=card, key=SimpleNamespace(digest="abc", level=level))

    def usable(self, job: Any) -> tuple[Any, str]:
        good = (job.card.name, job.key.level) in self.stored and self.passes_selftest
        return (SimpleNamespace() if good else None), "" if good else "never proved"

    def build(self, job: Any, on_progress: Any, stop: threading.Event) -> None:
        on_progress(Progress(phase="tactics", share=0.5, left_s=7.0))
        end = self.builds.get(job.card.name)
        if isinstance(end, Cancelled):
            self.building.set()
            stop.wait(10)
            self.released.wait(0 if self.stops_at_once else 10)
        if end is not None:
            raise end
        self.stored.add((job.card.name, job.key.level))


Ready = list[tuple[str, int]]


def started_service(
    script: ScriptedBuilder,
    *errors: Exception,
    levels: tuple[int, ...] = (LEVEL,),
    precision: str = "auto",
    with_int8: bool = False,
) -> tuple[EngineBuildService, Ready]:
    """A started service, and what it offered to the daemon, which raises the given errors one by one at first."""
    cards, ready, pending = load(None), Ready(), list(errors)

    def on_ready(job: Any, engine: Any) -> None:
        if pending:
            raise pending.pop(0)
        ready.append((job.card.name, job.key.level))

    service = EngineBuildService(
        cast(EngineBuilder, script),
        {name: (cards[name].model_copy(update={"int8": INT8 if with_int8 else None}), Path("x")) for name in NAMES},
        levels=levels,
        workspace_mb=512,
        precision=precision,
    )
    service.start(on_ready)
    return service, ready
