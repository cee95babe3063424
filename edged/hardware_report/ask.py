"""Asks one probe, in a process of its own. Nothing that it does to itself can cost the report more than its rows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from edged.hardware_report.probe import Bench, Probe, ReportRow, failed


def run_probe(probe: Probe, bench: Bench, config: Path | None) -> list[ReportRow]:
    """The rows it found, and one more when it died or ran out of time."""
    request = {
        "probe": probe.name,
        "config": str(config) if config else None,
        "folder": str(bench.folder),
        "seconds": bench.seconds,
        "flavour": bench.flavour,
    }
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as complaints:
        with subprocess.Popen(
            [sys.executable, "-m", "edged.hardware_report.child"],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=complaints,
            text=True,
            start_new_session=True,
        ) as child:
            end = _exit_error(child, json.dumps(request), probe.timeout_s + bench.seconds)
        rows = list(_parse_rows(_read_all(out)))
        if end:
            last = next((line for line in reversed(_read_all(complaints).splitlines()) if line.strip()), "")
            rows.append(failed("the rest of it", f"{end}{f': {last}' if last else ''}"))
    return rows


def _exit_error(child: subprocess.Popen[str], request: str, limit_s: float) -> str:
    """How it ended, in words; empty when well."""
    try:
        child.communicate(request, limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)  # and what it has started
        child.wait()
        return f"no end after {limit_s:g} s"
    if child.returncode < 0:
        return f"died of {signal.Signals(-child.returncode).name}"
    return f"ended with code {child.returncode}" if child.returncode else ""


def _read_all(file: Any) -> str:
    file.seek(0)
    return str(file.read())


def _parse_rows(text: str) -> Iterator[ReportRow]:
    for line in text.splitlines():
        with suppress(ValueError, TypeError):  # cut off in the middle of a line
            yield ReportRow(**json.loads(line))
