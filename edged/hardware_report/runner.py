"""The table of probes, and how one is run: in a process of its own, which may hang or die and cost only its own rows.

`python -m edged.hardware_report.runner` is that process: the request comes on stdin as JSON, and each row goes to
stdout as a line of JSON as soon as there is one.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edged.config.load import load
from edged.hardware_report import board, cameras, models, service
from edged.hardware_report.probe import Bench, NotPossible, Probe, ReportRow, failed, not_possible
from engines.child_process import Ended, run_child

HOUR_S = 3600.0

PROBES = (  # in the order in which they run
    Probe(name="identity", question="What is this machine?", run=board.identity),
    Probe(name="nodes", question="Which health sensors does this board have?", run=board.nodes),
    Probe(
        name="builds",
        question="How long does an engine take to build, and what is its peak memory?",
        support_row="TensorRT engines, building",
        run=models.builds,
        timeout_s=4 * HOUR_S,
    ),
    Probe(
        name="selftests",
        question="Does every engine agree with its FP32 model at every batch size?",
        support_row="TensorRT engines, running",
        run=models.selftests,
        timeout_s=HOUR_S,
    ),
    Probe(name="sessions", question="How long does each model take alone, by batch size?", run=models.sessions),
    Probe(
        name="loops",
        question="How long does a frame take from the camera's image to keypoints, with each model in the store?",
        run=models.loops,
        timeout_s=HOUR_S,
    ),
    Probe(
        name="cuda",
        question="How long does a frame take on the CUDA backend, with and without graphs, and is it the CPU's result?",
        support_row="CUDA backend",
        run=models.cuda_backend,
    ),
    Probe(name="copies", question="How long does moving a frame take?", run=board.copies),
    Probe(
        name="v4l2-modes",
        question="Does a camera's driver write into our memory (USERPTR), or only into its own (MMAP)?",
        support_row="V4L2 (USB) cameras",
        run=cameras.v4l2_modes,
    ),
    Probe(
        name="cameras",
        question="How soon and how evenly do the configured cameras give frames?",
        support_row="CSI (nvarguscamerasrc)",
        subject_part="(csi)",
        run=cameras.cameras,
    ),
    Probe(name="heat", question="How hot does it get, what does it draw, and does it keep its rate?", run=board.heat),
    Probe(
        name="service",
        question="How soon is the daemon ready, how soon is its camera online, and how soon does it exit?",
        run=service.service,
    ),
)
BY_NAME = {probe.name: probe for probe in PROBES}


def run_probe(probe: Probe, bench: Bench, config: Path | None) -> list[ReportRow]:
    """The rows of a probe, with a failed one at the end when its process died or ran out of time."""
    request = {
        "probe": probe.name,
        "config": str(config) if config else None,
        "folder": str(bench.folder),
        "seconds": bench.seconds,
        "flavour": bench.flavour,
    }
    timeout_s = probe.timeout_s + bench.seconds
    command = [sys.executable, "-m", "edged.hardware_report.runner"]
    ended = run_child(command, text=json.dumps(request), timeout_s=timeout_s)
    rows = list(_parse_rows(ended.stdout))
    if error := _exit_error(ended, timeout_s):
        last = next((line for line in reversed(ended.stderr.splitlines()) if line.strip()), "")
        rows.append(failed("the rest of it", f"{error}{f': {last}' if last else ''}"))
    return rows


def _exit_error(ended: Ended, timeout_s: float) -> str:
    """Why the process did not end well; empty when it did."""
    if ended.timed_out:
        return f"not finished after {timeout_s:g} s"
    if ended.returncode < 0:
        return f"died of {signal.Signals(-ended.returncode).name}"
    return f"ended with code {ended.returncode}" if ended.returncode else ""


def _parse_rows(text: str) -> Iterator[ReportRow]:
    for line in text.splitlines():
        with suppress(ValueError, TypeError):  # a line that was cut off
            yield ReportRow(**json.loads(line))


def main() -> int:
    """Run one probe. Rows go to the original stdout; what libraries print there goes to stderr."""
    request: dict[str, Any] = json.load(sys.stdin)
    out, sys.stdout = sys.stdout, sys.stderr
    bench = Bench(
        settings=load(Path(request["config"]) if request["config"] else None),
        folder=Path(request["folder"]),
        seconds=request["seconds"],
        flavour=request["flavour"],
    )
    try:
        for row in BY_NAME[request["probe"]].run(bench):
            print(json.dumps(asdict(row)), file=out, flush=True)
    except NotPossible as why:
        print(json.dumps(asdict(not_possible("all of it", str(why)))), file=out)
    except Exception as exc:  # this process's outermost supervisor: the error belongs in the report
        print(json.dumps(asdict(failed("all of it", f"{type(exc).__name__}: {exc}"))), file=out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
