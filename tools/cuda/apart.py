"""Every part in a process of its own, given so long and no longer: one that hangs or breaks the GPU costs no other."""

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
# Plugins that happen to be installed, and what others' packages warn of, are no matter of the GPU's.
PYTEST = (sys.executable, "-m", "pytest", "-q", "-W", "default", "-p", "no:cacheprovider")
ON_A_GPU = [f"tests/cuda/test_{name}.py" for name in ("gpu", "kernels", "backend", "figures")]  # the others emulate one
FOR_TESTS = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "NVIDIA_TF32_OVERRIDE": "0"}  # what is compared is FP32
SANITIZERS = ("memcheck", "racecheck")


class Unmeasured(Exception):
    """Why a part has no figures. The next run tries again."""


class Apart:
    """Measures a part, by name and within so many seconds. What it said stays in `folder` where it failed."""

    def __init__(self, folder: Path, options: Sequence[str]) -> None:
        self._folder, self._options = folder, options

    def __call__(self, name: str, limit_s: float) -> Any:
        """Raises `Unmeasured`."""
        if name == "tests":
            return {name: self._last_line(name, (*PYTEST, *ON_A_GPU), limit_s)}
        if name == "sanitizer":
            return self._sanitized(limit_s)
        return self._figures(name, limit_s)

    def _figures(self, name: str, limit_s: float) -> Any:
        with tempfile.TemporaryDirectory() as scratch:
            into, log = Path(scratch) / "part.json", self._log(name)
            command = (sys.executable, "-m", "tools.cuda", str(self._folder), *self._options)
            status, said = run((*command, "--part", name, "--into", str(into)), log, limit_s)
            if status:
                raise Unmeasured(f"{said} (exit {status})")
            log.unlink()
            return json.loads(into.read_text())

    def _sanitized(self, limit_s: float) -> dict[str, str]:
        sanitizer = shutil.which("compute-sanitizer")
        if sanitizer is None:
            return {"sanitizer": "not here: compute-sanitizer is not installed"}
        kernels = (*PYTEST, "tests/cuda/test_kernels.py")
        return {
            tool: self._last_line(tool, (sanitizer, "--tool", tool, "--error-exitcode", "9", *kernels), limit_s / 2)
            for tool in SANITIZERS
        }

    def _last_line(self, name: str, command: Sequence[str], limit_s: float) -> str:
        status, said = run(command, self._log(name), limit_s, FOR_TESTS)
        return f"{said} (exit {status})"

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"


def run(
    command: Sequence[str], log: Path, limit_s: float, surroundings: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Its exit status, and the last line of what it said, all of which goes into `log`.

    Raises `Unmeasured` when it is not done in time; it has ended then, with all that it began.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "PYTHONUNBUFFERED": "1", **(surroundings or {})}
    ended = run_child(command, timeout_s=limit_s, log=log, env=env, cwd=ROOT)
    if ended.timed_out:
        raise Unmeasured(f"not done within {limit_s:.0f} s; {log.name} tells how far it came")
    return ended.returncode, ended.last_words or "nothing"
