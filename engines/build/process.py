"""Builds an engine in a child process, and explains how that ended. Any thread; one build at a time."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engines.bindings import Flavour
from engines.build.progress import Progress
from engines.build.worker import BuildRequest
from engines.child_process import run_child
from engines.errors import BuildFailed, Cancelled
from engines.prepare.model import PreparedModel
from engines.store.key import BuildOptions
from engines.units import BYTES_PER_KIB, BYTES_PER_MB

log = logging.getLogger(__name__)

TERMINATE_TIMEOUT_S = 20.0  # between SIGTERM and SIGKILL: TensorRT looks at it between two steps only
OUT_OF_MEMORY = (
    "bad_alloc",
    "out of memory",
    "OutOfMemory",
    "Cannot allocate memory",
    "temporarily unavailable",
    "failed to map segment",  # of the loader, whose reason it leaves out
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltPlan:
    """An engine in a file, not yet tested."""

    plan: Path
    seconds: float
    peak_rss_mb: int


class BuildProcess:
    """`folder` has unfinished files: it lies on the store's file system, and the store clears it."""

    def __init__(self, folder: Path, flavour: Flavour, memory_mb: int | None = None) -> None:
        self._folder = folder
        self._flavour = flavour
        self._memory_mb = memory_mb

    def build(
        self,
        model: PreparedModel,
        options: BuildOptions,
        on_progress: Callable[[Progress], None],
        stop: threading.Event,
        usual_s: float | None = None,
    ) -> BuiltPlan:
        """The plan's file, time and memory. Raises `BuildFailed` with the reason, `Cancelled` when `stop` was set."""
        request = self._request(model, options, usual_s)
        start_s, free_mb = time.monotonic(), available_mb()
        messages = _Messages(on_progress)
        ended = run_child(
            [sys.executable, "-m", "engines.build.worker"],
            text=json.dumps(asdict(request)),
            on_line=messages.read,
            stop=stop,
            terminate_timeout_s=TERMINATE_TIMEOUT_S,
        )
        if messages.done is not None:
            seconds = time.monotonic() - start_s
            return BuiltPlan(plan=Path(request.plan), seconds=seconds, peak_rss_mb=messages.done["peak_rss_mb"])
        if stop.is_set():
            raise Cancelled("the build was cancelled")
        raise BuildFailed(explain_exit(ended.returncode, [*ended.stderr.splitlines(), messages.failure], free_mb))

    def _request(self, model: PreparedModel, options: BuildOptions, usual_s: float | None) -> BuildRequest:
        self._folder.mkdir(parents=True, exist_ok=True)
        onnx = self._folder / f"{model.sha256[:16]}.onnx"
        onnx.write_bytes(model.onnx)
        return BuildRequest(
            model=str(onnx),
            precision=model.precision,
            plan=str(onnx.with_suffix(".plan")),
            timing=str(self._folder / f"{self._flavour}.timing"),
            flavour=self._flavour,
            options=asdict(options),
            usual_s=usual_s,
            memory_mb=self._memory_mb,
        )


def explain_exit(code: int, stderr: list[str], free_mb: int) -> str:
    """Why a process ended that reported no outcome."""
    last = next((line.strip() for line in reversed(stderr) if line.strip()), "")
    if any(sign in line for sign in OUT_OF_MEMORY for line in stderr):
        return f"it ran out of memory: {last}; {_more_memory(free_mb)}"
    if code == -signal.SIGKILL:
        return f"it was killed, most likely by the kernel for memory; {_more_memory(free_mb)}"
    if code < 0:
        return f"it crashed with {signal.Signals(-code).name}{f': {last}' if last else ''}; {_more_memory(free_mb)}"
    return last or f"it ended with code {code} and without a message"


def available_mb() -> int:
    """Memory available without swapping, in MB; 0 when unknown."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * BYTES_PER_KIB // BYTES_PER_MB
    return 0


def _more_memory(free_mb: int) -> str:
    return f"{free_mb} MB were free: stop other programs, add swap, or lower engines.workspace_mb"


class _Messages:
    """What the worker writes: progress, then the outcome, as JSON objects; anything else is a library's."""

    def __init__(self, on_progress: Callable[[Progress], None]) -> None:
        self.done: dict[str, Any] | None = None
        self.failure = ""
        self._on_progress = on_progress

    def read(self, line: str) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            log.debug("build: %s", line)
        elif "share" in message:
            self._on_progress(Progress(**message))
        else:
            self.done = message.get("done")
            self.failure = message.get("failed", "")
