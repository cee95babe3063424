"""Engines: how long they take to build and what memory at its peak, and whether they do what their models do."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from edged.device.sysfs import SysfsSensors
from edged.hardware_report.loops import build_job, cards_of, open_builder
from edged.hardware_report.probe import Bench, ReportRow, failed, not_possible
from edged.units import BYTES_PER_MB
from engines.build.process import available_mb
from engines.errors import EngineError

MEMORY_PERIOD_S = 0.2


def builds(bench: Bench) -> Iterator[ReportRow]:
    """Every model in use, built from nothing."""
    foundry = open_builder(bench)
    for card in cards_of(bench.settings):
        job = build_job(bench, foundry, card)
        try:
            with MemoryWatch() as memory:
                plan = foundry.build(job, lambda progress: None, threading.Event())
        except EngineError as exc:
            yield failed(card.name, str(exc))
            continue
        drift = {f"fp16_{name}": value for name, value in plan.meta["fp16_drift"].items() if value is not None}
        yield ReportRow(
            subject=card.name,
            figures={
                "tensorrt": f"{job.key.tensorrt} ({job.key.flavour})",
                "level": job.options.level,
                "prepare_s": plan.meta["prepare_s"],
                "build_s": plan.meta["seconds"],
                "engine_mb": round(plan.meta["bytes"] / BYTES_PER_MB, 1),
                "peak_rss_mb": plan.meta["peak_rss_mb"],
                "gpu_memory_most_mb": memory.gpu_max_mb,
                "memory_free_before_mb": memory.free_before_mb,
                "memory_free_least_mb": memory.free_min_mb,
                **drift,
            },
        )


def selftests(bench: Bench) -> Iterator[ReportRow]:
    """Every engine that was built, on golden frames against FP32, in every batch size; twice alike, and not always."""
    foundry = open_builder(bench)
    for card in cards_of(bench.settings):
        job = build_job(bench, foundry, card)
        plan, why = foundry.usable(job)
        if plan is not None and plan.proof is not None:
            yield ReportRow(subject=card.name, figures={name: str(value) for name, value in plan.proof.items()})
        elif "nothing here can run" in why or "never built" in why:
            yield not_possible(card.name, why)
        else:
            yield failed(card.name, why)


class MemoryWatch:
    """Watches memory while a build runs: on a Jetson the GPU's is the host's, and no process's RSS shows it."""

    def __init__(self) -> None:
        self.free_before_mb = self.free_min_mb = available_mb()
        self.gpu_max_mb: int | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        board = SysfsSensors()
        while not self._stop.wait(MEMORY_PERIOD_S):
            self.free_min_mb = min(self.free_min_mb, available_mb())
            if (used := board.gpu_memory_mb()) is not None:
                self.gpu_max_mb = max(self.gpu_max_mb or 0, used)
