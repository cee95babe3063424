"""From a card to a usable engine: prepared, checked, built, tested, stored; or the reason why there is none.

What runs models is passed in: a reference on ONNX Runtime, a runner on the GPU, the decoders.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines import machine
from engines.bindings import TensorRT
from engines.build.process import BuildProcess
from engines.build.progress import Progress
from engines.card import Card, Precision
from engines.errors import BuildFailed, Cancelled, PlanRefused
from engines.prepare import batches, prepare
from engines.prepare.model import Batch, PreparedModel
from engines.store.engine_store import MAX_ATTEMPTS, EngineStore, StoredEngine
from engines.store.key import BuildOptions, EngineKey, cause, differences
from engines.verify.accuracy import Decode
from engines.verify.selftest import Runner, SelfTest, selftest

log = logging.getLogger(__name__)

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtimes:
    """What runs models here."""

    reference: Callable[[bytes], Runner]  # runs an FP32 ONNX file, as the reference
    engine: (
        Callable[[bytes, PreparedModel, Card, BuildOptions], Runner] | None
    )  # runs a plan; None: this machine cannot
    decoders: Mapping[str, Decode]  # by family


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BuildJob:
    """One model, ready to be looked up or built."""

    card: Card
    model: PreparedModel
    reference: PreparedModel  # the same in FP32
    options: BuildOptions
    key: EngineKey
    seconds: float  # that the preparation took


class EngineBuilder:
    def __init__(
        self,
        store: EngineStore,
        trt: TensorRT,
        machine_info: machine.Machine,
        runtimes: Runtimes,
        build_process: BuildProcess,
    ) -> None:
        self.plans = store
        self._trt = trt
        self._machine = machine_info
        self._runtimes = runtimes
        self._process = build_process

    def job(self, card: Card, file: Path, *, level: int, workspace_mb: int, precision: Precision = "fp16") -> BuildJob:
        """Prepare a model for the batches of its card; a 3D model that was exported for one person for one.

        `workspace_mb` 0: chosen by the GPU's memory. Raises `CardError`.
        """
        begun_s = time.monotonic()
        data = file.read_bytes()
        sizes = batches(card, data)
        batch: Batch = 1 if len(sizes) == 1 else (sizes[0], sizes[-2], sizes[-1])
        profiles = () if len(sizes) == 1 else tuple((n, n, n) for n in sizes)
        model = prepare(card, data, batch=batch, precision=precision)
        reference = prepare(card, data, batch=1, precision="fp32", io="fp32")
        room_mb = workspace_mb or machine.workspace_mb(self._machine)
        options = BuildOptions(level=level, workspace_mb=room_mb, profiles=profiles)
        key = EngineKey.of(model.sha256, precision, options, self._trt, self._machine)
        seconds = time.monotonic() - begun_s
        return BuildJob(
            card=card.in_precision(precision),
            model=model,
            reference=reference,
            options=options,
            key=key,
            seconds=seconds,
        )

    def usable(self, job: BuildJob) -> tuple[StoredEngine | None, str]:
        """The engine to use, and why not if there is none. Its hash is checked, and it is tested once more."""
        plan = self.plans.find(job.card.name, job.key)
        if plan is None:
            return None, "; ".join(self.explain(job))
        try:
            data = plan.read()
        except PlanRefused as refusal:
            self.plans.quarantine(plan, str(refusal))
            return None, str(refusal)
        if self._runtimes.engine is None:
            return None, "built, but not tested: this machine cannot run a TensorRT engine"
        proof = self._selftest(job, self._runtimes.engine(data, job.model, job.card, job.options))
        if not proof.passed:
            reason = "; ".join(proof.faults)
            self.plans.quarantine(plan, reason)
            return None, reason
        return self.plans.record_selftest(plan, proof.to_json()), ""

    def build(self, job: BuildJob, on_progress: OnProgress, stop: threading.Event) -> StoredEngine:
        """The stored engine, after the prepared model was checked and the engine built and tested.

        Raises `BuildFailed` with the reason, `Cancelled`, `StoreError`.
        """
        name = job.card.name
        if self.plans.attempts(name, job.key) >= MAX_ATTEMPTS:
            last = self.plans.last_failure(name, job.key)
            raise BuildFailed(
                f"{name}: {MAX_ATTEMPTS} attempts failed, the last: {last}; try `edged engines build --again`"
            )
        self.plans.begin(name, job.key)
        try:
            plan = self._build(job, on_progress, stop)
        except Cancelled:
            self.plans.forget(name, job.key)  # a cancelled build is no failed attempt
            raise
        except BuildFailed as failure:
            self.plans.failed(name, job.key, str(failure))
            raise
        self.plans.forget(name, job.key)
        return plan

    def explain(self, job: BuildJob) -> list[str]:
        """Why no stored engine is the one wanted, a sentence per difference with the nearest one."""
        others = self.plans.engines(job.card.name)
        if not others:
            return ["none was ever built here"]
        return differences(_nearest(others, job).key, job.key)

    def last_attempt(self, job: BuildJob) -> tuple[str, float | None]:
        """Why the engine built here before is not the wanted one, and its build time in s.

        Empty text and None when there is none.
        """
        others = self.plans.engines(job.card.name)
        return (cause(_nearest(others, job).key, job.key) if others else ""), _expected_s(others, job)

    def _build(self, job: BuildJob, on_progress: OnProgress, stop: threading.Event) -> StoredEngine:
        checked = self._selftest(job, self._runtimes.reference(job.model.onnx))
        if not checked.passed:
            raise BuildFailed(
                f"{job.card.name} in {job.model.precision.upper()} differs from FP32: {'; '.join(checked.faults)}"
            )
        built = self._process.build(job.model, job.options, on_progress, stop, self.last_attempt(job)[1])
        proof = self._selftest_of(job, built.plan)
        if proof is not None and not proof.passed:
            raise BuildFailed(f"the engine of {job.card.name} failed its self-test: {'; '.join(proof.faults)}")
        meta: dict[str, Any] = {
            "seconds": round(built.seconds, 1),
            "peak_rss_mb": built.peak_rss_mb,
            "prepare_s": round(job.seconds, 2),
            "family": job.model.family,
            "islands": list(job.model.islands),
            "drift": checked.drift.to_json(),
        }
        return self.plans.publish(job.card.name, job.key, built.plan, meta, None if proof is None else proof.to_json())

    def _selftest_of(self, job: BuildJob, plan: Path) -> SelfTest | None:
        """None where this machine cannot run the engine: it is stored, and not used."""
        if self._runtimes.engine is None:
            return None
        return self._selftest(job, self._runtimes.engine(plan.read_bytes(), job.model, job.card, job.options))

    def _selftest(self, job: BuildJob, engine: Runner) -> SelfTest:
        reference = self._runtimes.reference(job.reference.onnx)
        with closing(engine), closing(reference):
            decode = self._runtimes.decoders.get(job.model.family)
            return selftest(job.card, engine, reference, decode, [best for _, best, _ in job.options.profiles] or [1])


def _nearest(others: list[StoredEngine], job: BuildJob) -> StoredEngine:
    return min(others, key=lambda plan: len(differences(plan.key, job.key)))


def _expected_s(others: list[StoredEngine], job: BuildJob) -> float | None:
    """How long the last build of this model took, of those as thorough as this one if there are any."""
    alike = [plan for plan in others if plan.key.level == job.options.level] or others
    return float(alike[0].meta["seconds"]) if alike else None
