"""Runs one probe in a process of its own: one that crashes or hangs costs the report no more than its own rows."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from edged.hardware_report.probe import Bench, Probe, ReportRow, failed
from engines.child_process import Ended, run_child


def run_probe(probe: Probe, bench: Bench, config: Path | None) -> list[ReportRow]:
    """The rows it found, and one more when it died or ran out of time."""
    request = {
        "probe": probe.name,
        "config": str(config) if config else None,
        "folder": str(bench.folder),
        "seconds": bench.seconds,
        "flavour": bench.flavour,
    }
    limit_s = probe.timeout_s + bench.seconds
    ended = run_child(
        [sys.executable, "-m", "edged.hardware_report.child"], text=json.dumps(request), timeout_s=limit_s
    )
    rows = list(_parse_rows(ended.stdout))
    if error := _exit_error(ended, limit_s):
        last = next((line for line in reversed(ended.stderr.splitlines()) if line.strip()), "")
        rows.append(failed("the rest of it", f"{error}{f': {last}' if last else ''}"))
    return rows


def _exit_error(ended: Ended, limit_s: float) -> str:
    """How it ended, in words; empty when well."""
    if ended.timed_out:
        return f"no end after {limit_s:g} s"
    if ended.returncode < 0:
        return f"died of {signal.Signals(-ended.returncode).name}"
    return f"ended with code {ended.returncode}" if ended.returncode else ""


def _parse_rows(text: str) -> Iterator[ReportRow]:
    for line in text.splitlines():
        with suppress(ValueError, TypeError):  # cut off in the middle of a line
            yield ReportRow(**json.loads(line))
