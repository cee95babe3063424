"""`python -m engines.build.worker`: one build in a process of its own; when it is killed the daemon goes on.

A request comes on stdin as JSON; progress, then the outcome, go to stdout as JSON lines. SIGTERM ends the build
at its next step. The plan is written to the file that the request names, and is used only after the parent
has taken it over.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engines.bindings import Flavour, find
from engines.build.trt import TensorRTBuilder
from engines.errors import Cancelled, EngineError
from engines.store.key import BuildOptions
from engines.units import BYTES_PER_KIB, BYTES_PER_MB

NICE_LEVEL = 10  # of a build: the daemon goes first
OOM_SCORE_ADJ = 900  # the kernel kills the build before the daemon


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """What to build, and where to put it."""

    model: str  # file of the prepared ONNX
    precision: str
    plan: str  # file to write
    timing: str  # file of the timing cache, read and written
    flavour: Flavour
    options: dict[str, Any]
    usual_s: float | None = None
    memory_mb: int | None = None  # address space allowed; None: no limit

    @staticmethod
    def read(text: str) -> BuildRequest:
        return BuildRequest(**json.loads(text))


def main() -> int:
    request = BuildRequest.read(sys.stdin.read())
    _lower_priority(request.memory_mb)
    try:
        _build(request)
    except (EngineError, MemoryError) as refusal:
        kind = "cancelled" if isinstance(refusal, Cancelled) else "failed"
        _send({kind: str(refusal) or "out of memory"})
        return 1
    _send({"done": {"peak_rss_mb": peak_rss_mb()}})
    return 0


def peak_rss_mb() -> int:
    """The most memory that this process held, in MB. `ru_maxrss` is at least its parent's, whose pages it starts on."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * BYTES_PER_KIB // BYTES_PER_MB


def _build(request: BuildRequest) -> None:
    options = BuildOptions(**{**request.options, "profiles": tuple(map(tuple, request.options["profiles"]))})
    builder = TensorRTBuilder(find(request.flavour), lambda progress: _send(asdict(progress)), request.usual_s)
    signal.signal(signal.SIGTERM, lambda *_: builder.cancel())
    timing = Path(request.timing)
    plan, timings = builder.build(
        Path(request.model).read_bytes(),
        request.precision,
        options,
        timing.read_bytes() if timing.exists() else b"",
    )
    Path(request.plan).write_bytes(plan)
    if timings:
        part = timing.with_suffix(".part")
        part.write_bytes(timings)
        part.replace(timing)


def _lower_priority(memory_mb: int | None) -> None:
    os.nice(NICE_LEVEL)
    with suppress(OSError):  # not permitted everywhere
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE_ADJ))
    if memory_mb is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_mb * BYTES_PER_MB,) * 2)


_OUTPUT_LOCK = threading.Lock()


def _send(line: dict[str, Any]) -> None:
    with _OUTPUT_LOCK, suppress(BrokenPipeError):  # the parent is gone
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
