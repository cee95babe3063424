"""What a benchmark ran on."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("edged", "numpy", "onnxruntime", "opencv-python")


def environment() -> dict[str, str]:
    """Names and versions; "" where the machine does not say."""
    packages = {name: _version(name) for name in PACKAGES}
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": str(os.cpu_count() or ""),
        "load over the last quarter of an hour": f"{os.getloadavg()[2]:.1f}",
        "python": platform.python_version(),
        "commit": _commit(),
        **packages,
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()
