"""Has an engine built by a child process, and explains its death when it dies. Any thread; one build at a time."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engines.bindings import Flavour
from engines.build.progress import Progress
from engines.build.worker import BuildRequest
from engines.errors import BuildFailed, Cancelled
from engines.prepare.model import PreparedModel
from engines.store.key import BuildOptions

log = logging.getLogger(__name__)

TERMINATE_TIMEOUT_S = 20.0  # between SIGTERM and SIGKILL: TensorRT looks at it between two steps only
OUT_OF_MEMORY = ("bad_alloc", "out of memory", "OutOfMemory", "Cannot allocate memory", "temporarily unavailable")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltPlan:
    """An engine in a file, not yet proved."""

    plan: Path
    seconds: float
    peak_rss_mb: int


class BuildProcess:
    """`folder` is where halves lie: on the store's file system, and cleared by the store."""

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
        """Raises `BuildFailed` with the reason in words, `Cancelled` when `stop` was set meanwhile."""
        request = self._request(model, options, usual_s)
        begun_s, free_mb = time.monotonic(), available_mb()
        with subprocess.Popen(
            [sys.executable, "-m", "engines.build.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as child:
            ended = threading.Event()
            watcher = threading.Thread(target=_terminate_on_stop, args=(child, stop, ended), daemon=True)
            complaints: list[str] = []
            listener = threading.Thread(target=lambda: complaints.extend(child.stderr or ()), daemon=True)
            watcher.start()
            listener.start()
            outcome = _follow(child, request, on_progress)
            child.wait()
            ended.set()
            listener.join(1)
        if "done" in outcome:
            seconds = time.monotonic() - begun_s
            return BuiltPlan(plan=Path(request.plan), seconds=seconds, peak_rss_mb=outcome["done"]["peak_rss_mb"])
        if stop.is_set():
            raise Cancelled("the build was told to stop")
        raise BuildFailed(explain_exit(child.returncode, [*complaints, outcome.get("failed", "")], free_mb))

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


def explain_exit(code: int, complaints: list[str], free_mb: int) -> str:
    """Why a child that said nothing is gone."""
    last = next((line.strip() for line in reversed(complaints) if line.strip()), "")
    if any(sign in line for sign in OUT_OF_MEMORY for line in complaints):
        return f"it ran out of memory: {last}; {_more_memory(free_mb)}"
    if code == -signal.SIGKILL:
        return f"it was killed, most likely by the kernel for memory; {_more_memory(free_mb)}"
    if code < 0:
        return f"it crashed with {signal.Signals(-code).name}{f': {last}' if last else ''}; {_more_memory(free_mb)}"
    return last or f"it ended with code {code} and without a word"


def available_mb() -> int:
    """Memory that can be had without swapping, in MB; 0 when nobody can tell."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1000
    return 0


def _more_memory(free_mb: int) -> str:
    return f"{free_mb} MB were free: stop other programs, add swap, or lower engines.workspace_mb"


def _follow(
    child: subprocess.Popen[str], request: BuildRequest, on_progress: Callable[[Progress], None]
) -> dict[str, Any]:
    """Hand the request over, progress on, and return what the child said last."""
    if child.stdin is None or child.stdout is None:
        raise ValueError("want a child with pipes")
    try:
        child.stdin.write(json.dumps(asdict(request)))
        child.stdin.close()
    except BrokenPipeError:
        return {}
    outcome: dict[str, Any] = {}
    for line in _lines(child.stdout):
        if "share" in line:
            on_progress(Progress(**line))
        else:
            outcome = line
    return outcome


def _lines(stream: Iterator[str]) -> Iterator[dict[str, Any]]:
    """JSON objects; what a library prints in between is passed on to the log."""
    for text in stream:
        try:
            line = json.loads(text)
        except ValueError:
            log.debug("build: %s", text.rstrip())
            continue
        if isinstance(line, dict):
            yield line


def _terminate_on_stop(child: subprocess.Popen[str], stop: threading.Event, ended: threading.Event) -> None:
    while not ended.wait(0.1):
        if stop.is_set():
            child.terminate()
            if not ended.wait(TERMINATE_TIMEOUT_S):
                child.kill()
            return
