"""Engines made in the background, one model after another, while the daemon serves with what it has.

Upstream: the models in use. Downstream: the daemon, which is told when an engine may be used, and health. A
thread of its own; what builds is a child process, and what fails is said and tried again at the next start.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Literal

from edged.runtime.threads import SupervisedThread
from engines.build.progress import Progress
from engines.build.service import BuildJob, EngineBuilder
from engines.card import Card
from engines.errors import Cancelled, EngineError
from engines.store.engine_store import StoredEngine

log = logging.getLogger(__name__)

STOP_TIMEOUT_S = 0.3  # for the build to be told; its process may take longer to end
LOG_STEP = 0.1  # of a build, between two lines of the log

BuildPhase = Literal["waiting", "preparing", "building", "ready", "unproved", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildStatus:
    """Where one model's engine stands."""

    phase: BuildPhase
    reason: str = ""  # why it failed, or is not used
    share: float | None = None  # of the build
    left_s: float | None = None
    key: str | None = None
    because: str = ""  # why the engine that was there before will not do
    last_s: float | None = None  # that the build took the last time


class EngineBuildService:
    """`files` are the verified models; `ready` is called for each engine that may be used from now on.

    Every model is built at the first of `levels`, then every one at the next: the best engine is the last.
    """

    def __init__(
        self,
        builder: EngineBuilder,
        files: Mapping[str, tuple[Card, Path]],
        on_ready: Callable[[BuildJob, StoredEngine], None],
        *,
        levels: Sequence[int],
        workspace_mb: int,
    ) -> None:
        self._builder = builder
        self._files = files
        self._on_ready = on_ready
        self._levels = levels
        self._workspace_mb = workspace_mb
        self.statuses: dict[str, BuildStatus] = {name: BuildStatus(phase="waiting") for name in files}
        self._current_job: BuildJob | None = None
        self._rounds = deque(product(levels, files))  # what is still to be built
        self._thread = SupervisedThread("engine-builds", self._step)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """A build under way is ended, and not counted as an attempt; what it had done is in the timing cache."""
        self._thread.stop()
        self._thread.join(STOP_TIMEOUT_S)
        if job := self._current_job:
            self._builder.plans.forget(job.card.name, job.key)

    @property
    def is_busy(self) -> bool:
        return any(work.phase in ("waiting", "preparing", "building") for work in self.statuses.values())

    def _step(self) -> float | None:
        """One engine; a step that fails by a bug is begun again."""
        if not self._rounds:
            return None
        level, name = self._rounds[0]
        try:
            self._build_model(name, level)
        except Cancelled:
            return None
        except (EngineError, OSError) as exc:
            self.statuses[name] = BuildStatus(phase="failed", reason=str(exc))
            log.error("engine of %s: %s; serving goes on as before", name, exc)
        self._rounds.popleft()
        return 0.0

    def _build_model(self, name: str, level: int) -> None:
        self.statuses[name] = BuildStatus(phase="preparing")
        best = self._levels[-1]
        if level != best and self._builder.plans.find(name, self._job(name, best).key):
            return  # no quick one is needed
        job = self._job(name, level)
        plan, reason = self._builder.usable(job)
        if plan is None and self._builder.plans.find(name, job.key) is None:
            self._build(name, job, reason)
            plan, reason = self._builder.usable(job)
        key = job.key.digest
        if plan is None:
            self.statuses[name] = BuildStatus(phase="unproved", reason=reason, key=key)
            log.warning("engine of %s: %s; it is not used", name, reason)
            return
        self.statuses[name] = BuildStatus(phase="ready", key=key)
        log.info("engine of %s: proved, %s", name, key)
        self._on_ready(job, plan)

    def _job(self, name: str, level: int) -> BuildJob:
        card, file = self._files[name]
        return self._builder.job(card, file, level=level, workspace_mb=self._workspace_mb)

    def _build(self, name: str, job: BuildJob, reason: str) -> None:
        said = 0.0
        because, last_s = self._builder.last_attempt(job)
        log.info("engine of %s: building, for %s%s", name, reason, f"; the last took {last_s:.0f} s" if last_s else "")
        begun = BuildStatus(phase="building", key=job.key.digest, because=because, last_s=last_s)

        def at(progress: Progress) -> None:
            nonlocal said
            self.statuses[name] = replace(begun, share=progress.share, left_s=progress.left_s)
            if progress.share >= said + LOG_STEP:
                said = progress.share
                log.info("engine of %s: %.0f %%%s", name, 100 * said, _remaining(progress.left_s))

        self._current_job = job
        try:
            self._builder.build(job, at, self._thread.stopping)
        finally:
            self._current_job = None


def _remaining(left_s: float | None) -> str:
    return "" if left_s is None else f", about {left_s:.0f} s left"
