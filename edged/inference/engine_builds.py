"""TensorRT engines of the models in use, built one after another in the background while the daemon serves.

Upstream: the models in use. Downstream: the daemon, which swaps an engine in, and health. The build itself is a
child process; a failed build is reported and tried again at the next start. Imports no library: health and the
watchdog know the status.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Literal

from edged.errors import CommandRejected, Fatal
from edged.runtime.threads import SupervisedThread
from engines.build.progress import Progress
from engines.build.service import BuildJob, EngineBuilder
from engines.card import Card, Precision
from engines.errors import Cancelled, EngineError
from engines.store.engine_store import StoredEngine

log = logging.getLogger(__name__)

STOP_TIMEOUT_S = 0.3  # for the build thread to notice; the child process may take longer to end
LOG_STEP = 0.1  # of a build's progress, between two lines of the log

BuildPhase = Literal["waiting", "preparing", "building", "ready", "unverified", "failed"]
OnReady = Callable[[BuildJob, StoredEngine], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildStatus:
    """How far one model's engine is."""

    phase: BuildPhase
    reason: str = ""  # why it failed, is not used, or is in another precision than the configuration's
    progress: float | None = None  # of the build, 0..1
    remaining_s: float | None = None
    key: str | None = None
    rebuild_reason: str = ""  # why the engine built here before is not usable
    previous_build_s: float | None = None


class EngineBuildService:
    """Builds engines of `files`, the verified models.

    `precision` is that of the configuration; a model whose engine fails in it gets one in FP16.
    Every model is built at the first of `levels`, then every one at the next: the best engine comes last.
    Thread: `on_ready` of `start` is called on the thread `engine-builds`; when it is rejected, it is called again.
    """

    def __init__(
        self,
        builder: EngineBuilder,
        files: Mapping[str, tuple[Card, Path]],
        *,
        levels: Sequence[int],
        workspace_mb: int,
        precision: str = "auto",
    ) -> None:
        self._builder = builder
        self._files = files
        self._levels = levels
        self._workspace_mb = workspace_mb
        self._precision = precision
        self.statuses: dict[str, BuildStatus] = {name: BuildStatus(phase="waiting") for name in files}
        self._current_job: BuildJob | None = None
        self._pending = deque(product(levels, files))
        self._thread = SupervisedThread("engine-builds", self._step)

    def start(self, on_ready: OnReady) -> None:
        """Call `on_ready` for each engine that passed its self-test."""
        self._on_ready = on_ready
        self._thread.start()

    def close(self) -> None:
        """Ends a running build. It does not count as an attempt, and its progress stays in the timing cache."""
        self._thread.stop()
        self._thread.join(STOP_TIMEOUT_S)
        if job := self._current_job:
            self._builder.plans.forget(job.card.name, job.key)

    def join(self, timeout_s: float) -> bool:
        """True when there is nothing left to build and the thread has ended."""
        return self._thread.join(timeout_s)

    def _step(self) -> float | None:
        """One engine. Raises what the thread's supervisor is to log; the next step goes on with the next engine."""
        if not self._pending:
            return None
        level, name = self._pending.popleft()
        try:
            self._build_model(name, level)
        except Cancelled:
            return None
        except CommandRejected:  # the loop did not take the engine in time
            self._pending.appendleft((level, name))
            raise
        except (EngineError, OSError) as exc:
            self.statuses[name] = BuildStatus(phase="failed", reason=str(exc))
            log.error("engine of %s: %s; the models in use stay", name, exc)
        except Fatal:
            raise
        except Exception as exc:  # a bug, which the thread's supervisor logs: of this model it is said too
            self.statuses[name] = BuildStatus(phase="failed", reason=f"{type(exc).__name__}: {exc}")
            raise
        return 0.0

    def _build_model(self, name: str, level: int) -> None:
        self.statuses[name] = BuildStatus(phase="preparing")
        *better, last = self._files[name][0].engine_precisions(self._precision)
        refused = []
        for precision in better:
            try:
                if self._build_in(name, level, precision):
                    return
                reason = self.statuses[name].reason
            except EngineError as failure:
                if isinstance(failure, Cancelled):
                    raise
                reason = str(failure)
            refused.append(f"in {precision}: {reason}; in {last} instead")
            log.warning("engine of %s %s", name, refused[-1])
        if self._build_in(name, level, last) and refused:
            self.statuses[name] = replace(self.statuses[name], reason="; ".join(refused))

    def _build_in(self, name: str, level: int, precision: Precision) -> bool:
        """False where the engine may not be used: its status says why. Raises `EngineError`."""
        best = self._levels[-1]
        if level != best and self._builder.plans.find(name, self._job(name, best, precision).key):
            return True  # the best engine is there: a quick one is not needed
        job = self._job(name, level, precision)
        engine, reason = self._builder.usable(job)
        if engine is None and self._builder.plans.find(name, job.key) is None:
            self._build(name, job, reason)
            engine, reason = self._builder.usable(job)
        key = job.key.digest
        if engine is None:
            self.statuses[name] = BuildStatus(phase="unverified", reason=reason, key=key)
            log.warning("engine of %s: %s; it is not used", name, reason)
            return False
        self.statuses[name] = BuildStatus(phase="ready", key=key)
        log.info("engine of %s: passed its self-test, %s", name, key)
        self._on_ready(job, engine)
        return True

    def _job(self, name: str, level: int, precision: Precision) -> BuildJob:
        card, file = self._files[name]
        return self._builder.job(card, file, level=level, workspace_mb=self._workspace_mb, precision=precision)

    def _build(self, name: str, job: BuildJob, reason: str) -> None:
        logged = 0.0
        rebuild_reason, previous_s = self._builder.last_attempt(job)
        last = f"; the last build took {previous_s:.0f} s" if previous_s else ""
        log.info("engine of %s: building, because %s%s", name, reason, last)
        started = BuildStatus(
            phase="building", key=job.key.digest, rebuild_reason=rebuild_reason, previous_build_s=previous_s
        )

        def on_progress(progress: Progress) -> None:
            nonlocal logged
            self.statuses[name] = replace(started, progress=progress.share, remaining_s=progress.left_s)
            self._thread.progress()
            if progress.share >= logged + LOG_STEP:
                logged = progress.share
                log.info("engine of %s: %.0f %%%s", name, 100 * logged, _remaining(progress.left_s))

        self._current_job = job
        try:
            self._builder.build(job, on_progress, self._thread.stopping)
        finally:
            self._current_job = None


def _remaining(remaining_s: float | None) -> str:
    return "" if remaining_s is None else f", about {remaining_s:.0f} s left"
