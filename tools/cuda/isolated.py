"""Runs every part in a process of its own with a time limit, so that a hang or CUDA error affects no other."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engines.child_process import run_child

ROOT = Path(__file__).parents[2]
# Warnings of other packages are not errors here; installed plugins are switched off in TEST_ENVIRONMENT.
PYTEST = (sys.executable, "-m", "pytest", "-q", "-W", "default", "-p", "no:cacheprovider")
# Tests that need a GPU; the others emulate one.
ON_A_GPU = [f"tests/cuda/test_{name}.py" for name in ("gpu", "kernels", "backend", "figures")]
TEST_ENVIRONMENT = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "NVIDIA_TF32_OVERRIDE": "0"}  # comparisons are in FP32
SANITIZERS = ("memcheck", "racecheck")


class NotMeasured(Exception):
    """Why a part has no figures. The next run tries it again."""


class PartProcess:
    """Measures a part by name, within a time limit. The log of a failed part stays in `folder`."""

    def __init__(self, folder: Path, options: Sequence[str]) -> None:
        self._folder, self._options = folder, options

    def __call__(self, name: str, limit_s: float) -> Any:
        """Raises `NotMeasured`."""
        if name == "tests":
            return {name: self._last_line(name, (*PYTEST, *ON_A_GPU), limit_s)}
        if name == "sanitizer":
            return self._sanitized(limit_s)
        return self._figures(name, limit_s)

    def _figures(self, name: str, limit_s: float) -> Any:
        with tempfile.TemporaryDirectory() as scratch:
            into, log = Path(scratch) / "part.json", self._log(name)
            command = (sys.executable, "-m", "tools.cuda", str(self._folder), *self._options)
            status, last_line = run((*command, "--part", name, "--into", str(into)), log, limit_s)
            if status:
                raise NotMeasured(f"{last_line} (exit {status})")
            log.unlink()
            return json.loads(into.read_text())

    def _sanitized(self, limit_s: float) -> dict[str, str]:
        sanitizer = shutil.which("compute-sanitizer")
        if sanitizer is None:
            return {"sanitizer": "not run: compute-sanitizer is not installed"}
        kernels = (*PYTEST, "tests/cuda/test_kernels.py")
        return {
            tool: self._last_line(tool, (sanitizer, "--tool", tool, "--error-exitcode", "9", *kernels), limit_s / 2)
            for tool in SANITIZERS
        }

    def _last_line(self, name: str, command: Sequence[str], limit_s: float) -> str:
        status, last_line = run(command, self._log(name), limit_s, TEST_ENVIRONMENT)
        return f"{last_line} (exit {status})"

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"


def run(
    command: Sequence[str], log: Path, limit_s: float, environment: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Return the exit status of a command and the last line of its output; all output goes to `log`.

    Raises `NotMeasured` on a timeout, after the process and its children were stopped.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})}
    ended = run_child(command, timeout_s=limit_s, log=log, env=env, cwd=ROOT)
    if ended.timed_out:
        raise NotMeasured(f"not finished within {limit_s:.0f} s; see {log.name}")
    return ended.returncode, ended.last_line or "nothing"
