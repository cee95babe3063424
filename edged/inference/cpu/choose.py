"""What runs the models on the CPU: the one place where it is chosen, by a trial at the first start.

The trial's result is kept beside the models for as long as models, libraries and CPU are the same.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from edged.config.tables.models import ComputeConfig
from edged.inference.cpu.runtimes import RUNTIMES, Candidate, CpuPrecision, ModelFiles, candidates
from edged.inference.cpu.trial import Trial, TrialResults
from edged.runtime.json_state import JsonState
from engines.card import Card

log = logging.getLogger(__name__)

TRIAL_TIMEOUT_S = 100  # loading the models included; beyond it the usual runtime is used, and tried again next time
FILE = "cpu-runtime.json"
CPUINFO = Path("/proc/cpuinfo")


class CpuChoice(NamedTuple):
    """What runs the models on the CPU, and why; the reason is empty where there was no choice."""

    candidate: Candidate
    reason: str = ""


def choose(compute: ComputeConfig, models: Sequence[tuple[Card, ModelFiles]], threads: int, store: Path) -> CpuChoice:
    """Takes a few seconds where a trial is needed. Raises `ConfigError`."""
    has_int8 = any("int8" in files for _, files in models)
    wanted = candidates(compute.cpu_runtime, cpu_precision(compute))
    allowed = tuple(one for one in wanted if one.precision != "int8" or has_int8)
    if len(allowed) == 1 or not models:
        return CpuChoice(allowed[0])
    if not os.access(store, os.W_OK):
        return CpuChoice(allowed[0], f"no trial: its result cannot be kept in {store}")
    trial = Trial(models=list(models), candidates=list(allowed), threads=threads)
    state, key = JsonState(store / FILE, "measurements of what runs the models"), _key(trial)
    results = state.read(lambda kept: TrialResults.model_validate(kept[key]) if key in kept else None, None)
    if results is None:
        log.info("models: trying %s, a few seconds", ", ".join(map(str, allowed)))
        results = _tried(trial)
        if results is None:
            return CpuChoice(allowed[0], "the trial failed")
        state.write({key: results.model_dump(mode="json")})
    return CpuChoice(results.best, f"measured: {results}")


def cpu_precision(compute: ComputeConfig) -> CpuPrecision:
    """FP16 is for engines: CPUs compute it in FP32."""
    if compute.precision == "int8" or compute.precision == "bf16":  # noqa: PLR1714  (as mypy follows it)
        return compute.precision
    return "fp32"


def _tried(trial: Trial) -> TrialResults | None:
    """None, and a line in the log, when the trial did not end well."""
    command = [sys.executable, "-m", "edged.inference.cpu.trial"]
    try:
        ended = subprocess.run(  # noqa: S603  (our own module)
            command, input=trial.model_dump_json(by_alias=True), capture_output=True, text=True,
            timeout=TRIAL_TIMEOUT_S, check=True,
        )  # fmt: skip
        return TrialResults.model_validate_json(ended.stdout)
    except (OSError, subprocess.SubprocessError, ValidationError) as exc:
        said = getattr(exc, "stderr", None) or ""
        log.warning("models: the trial of what runs them failed (%s)", str(said).strip().rpartition("\n")[2] or exc)
        return None


def _key(trial: Trial) -> str:
    """A digest of all that the result depends on."""
    files = [
        (str(path), path.stat().st_size, path.stat().st_mtime_ns) for _, by in trial.models for path in by.values()
    ]
    facts: list[Any] = [trial.candidates, trial.threads, files, _versions(), _cpu()]
    return sha256(repr(facts).encode()).hexdigest()


def _versions() -> Mapping[str, str]:
    found: dict[str, str] = {}
    for name in RUNTIMES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _cpu() -> list[str]:
    """The lines that tell CPUs apart."""
    with suppress(OSError):
        lines = CPUINFO.read_text().splitlines()
        return sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))})
    return []
